/** Bounds that more than one process must agree on. Settings of an operator are in `lib/config.ts`. */

/** Un-ACKed OUTPUT bytes a viewer may have outstanding. */
export const WINDOW_BYTES = 256 * 1024;
/** Largest frame to the host, header included (bytes). */
export const FRAME_BYTES_MAX = 64 * 1024;
/** Largest INPUT payload that a client sends in one frame (bytes). */
export const INPUT_BYTES_MAX = 16 * 1024;
/** INPUT bytes a client keeps unreceipted at most; more is answered with 4413. */
export const UNRECEIPTED_BYTES_MAX = 64 * 1024;
/** Largest SNAPSHOT text (bytes of UTF-8). */
export const SNAPSHOT_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes of raw output that a session keeps for cursors. */
export const RING_BYTES_MAX = 4 * 1024 * 1024;
/** Lines of scrollback in the screen, in host and viewers alike. */
export const SCROLLBACK_LINES = 1000;
/** A socket that sends no attach in this time is closed with 4408 (ms). */
export const ATTACH_TIMEOUT_MS = 5_000;
/** A ticket opens a socket for this long (ms). */
export const TICKET_TTL_MS = 30_000;
/** How often a browser pings (ms), when it does so earlier after an attach, and how long it waits for any frame (ms). */
export const PING_INTERVAL_MS = 15_000;
export const EARLY_PINGS_MS = [1_000, 3_000] as const;
export const SILENCE_MAX_MS = 35_000;
/** CONTROL frames of one socket: so many in a second over time, and so many at once; more closes it with 4429. */
export const CONTROL_PER_SECOND_MAX = 50;
export const CONTROL_BURST_MAX = 100;
/** Largest REST body (bytes). */
export const BODY_BYTES_MAX = 64 * 1024;
/** Terminals that a user may ask for: so many in so long (ms). Scripts with the machine token are not counted. */
export const CREATE_RATE = { max: 120, windowMs: 60_000 } as const;
/** Longest tab or project name, in graphemes. */
export const NAME_GRAPHEMES_MAX = 64;
/** Longest window title that is passed on, in UTF-16 units. */
export const TITLE_LENGTH_MAX = 256;

/** Lines of `output` in the REST answer for one session (`terminalSessionSchema`). */
export const OUTPUT_LINES_MAX = 1000;

/** Smallest and largest terminal size. */
export const COLS = { min: 2, max: 1000 } as const;
export const ROWS = { min: 1, max: 500 } as const;
/** The size of a session when its creator names none. */
export const DEFAULT_SIZE = { cols: 80, rows: 24 } as const;

/** How long before its end an idle session is announced (ms). */
export const IDLE_WARNING_MS = 300_000;
/** Output in one page of history (bytes). */
export const HISTORY_BYTES_MAX = 2 * 1024 * 1024;
/** Gateway and host exchange a heartbeat so often; the host counts as slow, then as unresponsive, after these (ms). */
export const HEARTBEAT_MS = 5_000;
export const HEARTBEAT_SLOW_MS = 6_000;
export const HEARTBEAT_UNRESPONSIVE_MS = 11_000;
