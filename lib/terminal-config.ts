/** The settings of one server in one nested value, as the tables of `holdfast.toml` group them. */
import type { Config } from './config';

/** Times in milliseconds, memory in megabytes. */
export type TerminalConfig = {
  mode: 'development' | 'production';
  /** A call to the database is not repeated: what it missed is replayed from the outbox, so `retries` is 0. */
  database: { enabled: boolean; timeout: number; retries: 0 };
  memory: { maxSessions: number; maxMemory: number; cleanupInterval: number };
  websocket: { port: number; maxConnections: number };
};

/** What a configuration says in these words. */
export function terminalConfig(config: Config): TerminalConfig {
  return {
    mode: config.mode,
    database: {
      enabled: config.wantsEmbedded || config.databaseUrl !== undefined,
      timeout: config.databaseTimeoutMs,
      retries: 0,
    },
    memory: {
      maxSessions: config.maxSessionsNode,
      maxMemory: config.memoryBytesMax / 1_000_000,
      cleanupInterval: config.memoryCheckMs,
    },
    websocket: { port: config.wsPort, maxConnections: config.maxSockets },
  };
}
