/** How drizzle-kit writes migrations from the schema. */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: './drizzle/schema.ts',
  out: './drizzle',
  // As lib/server/store/migrate.ts has it.
  migrations: { schema: 'public', table: 'holdfast_migrations' },
});
