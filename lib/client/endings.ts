/** What the end of a session is called, in a word and in a sentence. */
import type { Exit } from './facts';

/** A label of one or two words, and the sentence that explains it. */
type Ending = { word: string; sentence: string };

const SIGNALS: Readonly<Record<number, string>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  6: 'SIGABRT',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  15: 'SIGTERM',
};

function endOfProgram({ code, signal }: Exit): Ending {
  if (signal === 0) return { word: `exit ${code}`, sentence: `Exited with code ${code}.` };
  const name = SIGNALS[signal] ?? `signal ${signal}`;
  return { word: name, sentence: `Ended by ${name}.` };
}

/** Says how a session ended; null: nobody knows. */
export function describeEnding(exit: Exit | null): Ending {
  if (!exit) return { word: 'ended', sentence: 'This terminal has ended.' };
  switch (exit.reason) {
    case 'closed':
      return { word: 'closed', sentence: 'Ended because it was closed.' };
    case 'idle':
      return { word: 'idle', sentence: 'Ended because nothing happened in it for a long time.' };
    case 'memory':
      return { word: 'memory', sentence: 'Ended at an idle prompt, because the machine was short of memory.' };
    case 'node-shutdown':
      return { word: 'shut down', sentence: 'Ended because its terminal host was told to stop.' };
    case 'host-crash':
    case 'oom':
    case 'reboot':
      return { word: 'lost', sentence: `Lost: ${causeOfLoss(exit)}.` };
    case 'exited':
    case undefined:
      return endOfProgram(exit);
  }
}

/** Why a session was lost, to stand behind a colon; without a reason of that kind it is not known. */
export function causeOfLoss(exit: Exit | null): string {
  switch (exit?.reason) {
    case 'host-crash':
      return 'the terminal host crashed';
    case 'oom':
      return 'memory ran out, and the system ended the terminal host';
    case 'reboot':
      return 'the machine was started again';
    default:
      return 'the terminal host is gone';
  }
}

/** Whether a session was lost rather than ended. */
export function isLoss({ reason }: Exit): boolean {
  return reason === 'host-crash' || reason === 'oom' || reason === 'reboot';
}

/** Whether its program failed: one that was ended by others, or was lost, did not. */
export function isFailedExit({ code, signal, reason }: Exit): boolean {
  return (reason === undefined || reason === 'exited') && (code !== 0 || signal !== 0);
}
