/** What tests measure: memory of processes, how long a page is blocked, and a note of it in the report. */
import { type Page, test } from '@playwright/test';

/** Keeps a measured value in the report of the running test. */
export function note(what: string, value: string): void {
  test.info().annotations.push({ type: 'measured', description: `${what}: ${value}` });
}

/** How long a page let its user wait (ms): without a new frame, and from an event of mouse or keyboard to the next frame. */
export type Waits = { frame: number; event: number };

/** Starts to watch a page; the function that it gives ends that and tells the longest waits. */
export async function watchWaits(page: Page): Promise<() => Promise<Waits>> {
  await page.evaluate(`(() => {
    const watch = { frame: 0, event: 0, last: performance.now(), isOn: true };
    globalThis.holdfastWaits = watch;
    const frame = () => {
      const now = performance.now();
      watch.frame = Math.max(watch.frame, now - watch.last);
      watch.last = now;
      if (watch.isOn) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    watch.take = (entries) => {
      for (const { duration } of entries) watch.event = Math.max(watch.event, duration);
    };
    watch.observer = new PerformanceObserver((list) => watch.take(list.getEntries()));
    watch.observer.observe({ type: 'event', durationThreshold: 16 });
  })()`);
  return () =>
    page.evaluate<Waits>(`(() => {
      const watch = globalThis.holdfastWaits;
      watch.isOn = false;
      watch.take(watch.observer.takeRecords());
      watch.observer.disconnect();
      return { frame: Math.max(watch.frame, performance.now() - watch.last), event: watch.event };
    })()`);
}

/** The page's JavaScript heap after a garbage collection (bytes). */
export async function heapBytes(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  try {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize;
  } finally {
    await session.detach();
  }
}
