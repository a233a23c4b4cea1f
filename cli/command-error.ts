/** A failure that a command foresees: its lines are printed as they are, and the command ends with exit code 1. */
export class CommandError extends Error {
  constructor(lines: string | string[]) {
    super([lines].flat().join('\n'));
    this.name = 'CommandError';
  }
}
