/** Whether work leaves the event loop free for others. */

/** How often the event loop goes round meanwhile. */
export async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let count = 0;
  let isDone = false;
  const tick = () => {
    count += 1;
    if (!isDone) setImmediate(tick);
  };
  setImmediate(tick);
  await work;
  isDone = true;
  return count;
}
