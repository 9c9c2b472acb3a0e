#!/usr/bin/env node
// The command `netmesh`.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Command } from 'commander';

import { addRedexCommands } from './redex';

const packageFile = join(__dirname, '..', '..', 'package.json');
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };

const program = new Command('netmesh')
  .description('Tools for netmesh.')
  .version(version)
  .showHelpAfterError();
addRedexCommands(program);

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 2);
});

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`netmesh: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
