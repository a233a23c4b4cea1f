/** What the commands ask of a running gateway, over its control socket. */
import { request } from 'node:http';
import { join } from 'node:path';
import { z } from 'zod';
import { cleanLabel } from '@/lib/protocol/clean-text';
import { liveSessionSchema } from '@/lib/protocol/control';
import { systemCode } from '@/lib/system-code';

const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const NAMES_MAX = 20;

// Only what the commands need, so that a gateway of another version is understood.
const sessionSchema = liveSessionSchema.pick({ id: true, exit: true, label: true });
const sessionsSchema = z.object({ sessions: z.array(sessionSchema) });
const namesSchema = z.object({ tabName: z.string(), project: z.object({ name: z.string() }) });

/** A session as the commands see it. */
export type SessionFacts = z.infer<typeof sessionSchema>;

type Call = { method: 'GET' | 'DELETE'; path: string; deadlineMs: number };

/** Status and body of a call; null when no gateway listens. */
function call(runDir: string, { method, path, deadlineMs }: Call): Promise<{ status: number; body: string } | null> {
  return new Promise((resolve, reject) => {
    const socketPath = join(runDir, 'control.sock');
    const signal = AbortSignal.timeout(deadlineMs);
    const sent = request({ socketPath, method, path, signal, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
        if (body.length > ANSWER_BYTES_MAX) response.destroy(new Error('the gateway gives too long an answer'));
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    sent.on('error', (error) =>
      ['ENOENT', 'ECONNREFUSED'].includes(systemCode(error) ?? '') ? resolve(null) : reject(error),
    );
    sent.end();
  });
}

/** The live sessions of the gateway; null when no gateway runs. @throws when it does not answer in time */
export async function listLiveSessions(runDir: string, deadlineMs: number): Promise<SessionFacts[] | null> {
  const answer = await call(runDir, { method: 'GET', path: '/v1/sessions', deadlineMs });
  if (!answer) return null;
  if (answer.status !== 200) throw new Error(`the gateway answers with ${answer.status}`);
  return sessionsSchema.parse(JSON.parse(answer.body)).sessions.filter(({ exit }) => exit === null);
}

/** Ends a session. True when it is gone, also when it was before. */
export async function endSession(runDir: string, id: string, deadlineMs: number): Promise<boolean> {
  const answer = await call(runDir, { method: 'DELETE', path: `/v1/sessions/${id}`, deadlineMs });
  return answer !== null && (answer.status === 200 || answer.status === 404);
}

function nameOf({ id, label }: SessionFacts): string {
  const names = namesSchema.safeParse(label);
  // A label is foreign text: it must not steer the user's terminal.
  return names.success ? `${cleanLabel(names.data.project.name)} / ${cleanLabel(names.data.tabName)}` : id;
}

/** Sessions by project and tab name, for people: `2 sessions` and `api / shell, api / claude`. */
export function describeSessions(sessions: SessionFacts[]): { count: string; names: string } {
  const names = sessions.map(nameOf).sort();
  const more = names.length - NAMES_MAX;
  const shown = names.slice(0, NAMES_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '');
  return { count: sessions.length === 1 ? '1 session' : `${sessions.length} sessions`, names: shown };
}
