/** What it means for the user that the store has to do without a part, in words. */

/** `word` stands in a bar, `text` says what does not answer, what still works, and that nothing is to be done. */
export type StoreTrouble = { word: string; text: string };

/** By the names in `degraded` of `/api/ready` and of the events; the worst is first. */
const TROUBLES: Readonly<Record<string, StoreTrouble>> = {
  store: {
    word: 'Changes in memory only',
    text: 'Changes to tabs and projects can be written nowhere: they are kept in memory, and are lost if web is restarted before they can. Terminals run on. What is wrong stands in the log of web or in the store that /api/ready names.',
  },
  db: {
    word: 'Database away',
    text: 'The database does not answer. Terminals, tabs and projects work as usual; changes wait on this machine and are written when it is back. You need not do anything.',
  },
  redis: {
    word: 'Redis away',
    text: 'Redis does not answer. Terminals, tabs and projects work as usual, perhaps a little slower, until it is back. You need not do anything.',
  },
};

/** What to say, the worst first; names that this page does not know say nothing. */
export function storeTroubles(degraded: readonly string[]): StoreTrouble[] {
  return Object.entries(TROUBLES)
    .filter(([name]) => degraded.includes(name))
    .map(([, trouble]) => trouble);
}
