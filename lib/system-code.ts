/** What the system calls a failure. */
import { z } from 'zod';

const systemErrorSchema = z.object({ code: z.string() });

/** The code of a failed system call, for example `ENOENT`; undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  return systemErrorSchema.safeParse(error).data?.code;
}
