#!/usr/bin/env node
/** The `holdfast` command: teaches Node TypeScript, goes to the package's directory and hands over to `holdfast.ts`. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { register } from 'tsx/esm/api';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
register({ tsconfig: join(root, 'tsconfig.json') });

const { runCommand } = await import('./holdfast.ts');
process.exitCode = await runCommand(process.argv.slice(2));
