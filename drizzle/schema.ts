/** The tables of the database. `npm run db:generate` writes a migration for each change here. */
import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  customType,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';

/** An id. It sorts by its bytes, as JavaScript does, and not by the words of a language. */
const identifier = customType<{ data: string; driverData: string }>({ dataType: () => 'text COLLATE "C"' });

const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 });

/** What both tables have: who owns a row, when it changed, and whether it is a tombstone. */
const common = {
  id: identifier().primaryKey(),
  userId: text('user_id').notNull(),
  createdAt: time('created_at').notNull(),
  updatedAt: time('updated_at').notNull(),
  /** Raised by one with every change. */
  rev: integer().notNull(),
  /** A row with it is a tombstone: the columns that say something are empty. */
  deletedAt: time('deleted_at'),
};

/** A name for a directory. */
export const projects = pgTable(
  'projects',
  {
    ...common,
    name: text().notNull(),
    path: text().notNull(),
    pinned: boolean().notNull().default(false),
    archived: boolean().notNull().default(false),
  },
  (table) => [
    index('projects_user_id').on(table.userId, table.id),
    index('projects_deleted_at').on(table.deletedAt).where(sql`${table.deletedAt} is not null`),
  ],
);

/** A session as its owner asked for it. A project's row may come after those of its sessions, so there is no reference. */
export const terminalSessions = pgTable(
  'terminal_sessions',
  {
    ...common,
    projectId: text('project_id').notNull(),
    type: text({ enum: ['system', 'claude'] }).notNull(),
    tabName: text('tab_name').notNull(),
    /** Takes a slot of its project and its user. */
    active: boolean().notNull().default(true),
    /** The last lines, for when the journal is gone. */
    output: jsonb(),
    path: text().notNull(),
    /** The last directory of an ended session. */
    currentPath: text('current_path'),
    /** For tools that expect it. Always empty: a stored pid may be somebody else's process later, so only the host knows it. */
    pid: integer(),
    position: doublePrecision().notNull(),
    pinned: boolean().notNull().default(false),
    nodeId: text('node_id'),
    hostId: text('host_id'),
    epoch: integer().notNull(),
    openingAt: time('opening_at').notNull(),
    endedAt: time('ended_at'),
    /** What is only shown: `exit`, how it ended. */
    metadata: jsonb().notNull().default({}),
  },
  (table) => [
    check('terminal_sessions_type', sql`${table.type} in ('system', 'claude')`),
    check('terminal_sessions_active', sql`${table.active} = (${table.endedAt} is null and ${table.deletedAt} is null)`),
    check('terminal_sessions_placement', sql`(${table.nodeId} is null) = (${table.hostId} is null)`),
    index('terminal_sessions_project_id').on(table.projectId, table.id),
    index('terminal_sessions_user_id').on(table.userId, table.id),
    index('terminal_sessions_active').on(table.active),
    index('terminal_sessions_deleted_at').on(table.deletedAt).where(sql`${table.deletedAt} is not null`),
  ],
);
