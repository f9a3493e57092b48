import { readFileSync } from 'node:fs';
import { redact } from '@sagaz/core';
import { Command, CommanderError } from 'commander';
import pc from 'picocolors';
import {
  brokerCommand,
  groupsCommand,
  landingCommand,
  migrateCommand,
  partitionCommand,
  sqlCommand,
  statusCommand,
} from './commands/index.js';
import type { ConsoleIo } from './console-io.js';
import { EXIT_CODE, type ExitCode } from './exit-code.js';
import { failureOf } from './failure.js';

const HELP = `
Environment:
  SAGAZ_DATABASE_URL  where the database is, when --url is not given
  SAGAZ_SCHEMA        schema of the tables, when --schema is not given
  NO_COLOR            no colours

Exit codes:
  ${String(EXIT_CODE.ok)}  done, or nothing to do
  ${String(EXIT_CODE.failed)}  tried and failed
  ${String(EXIT_CODE.usage)}  the command or an option is wrong
  ${String(EXIT_CODE.outdated)}  status: the schema is not what this version needs
  ${String(EXIT_CODE.unreachable)}  the database could not be reached`;

/** Runs a command line (without node and script) and resolves to its exit code. Never rejects. */
export async function run(args: readonly string[], io: ConsoleIo): Promise<ExitCode> {
  let code: ExitCode = EXIT_CODE.ok;
  const end = (given: ExitCode): void => {
    code = given;
  };
  const program = new Command('sagaz')
    .description(
      'Tables of Sagaz: apply, inspect, print. Consumer groups: see, remove, rename, retire.',
    )
    .version(version())
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        io.out(text.trimEnd());
      },
      // Commander quotes what it does not understand, which may be a url with a password.
      writeErr: (text) => {
        io.err(redact(text.trimEnd()));
      },
    })
    .showHelpAfterError('Run with --help to see what there is.');
  const commands = [
    migrateCommand,
    partitionCommand,
    statusCommand,
    sqlCommand,
    groupsCommand,
    landingCommand,
    brokerCommand,
  ];
  for (const add of commands) add(program, io, end);
  const tellScript = (code: string, message: string): void => {
    if (args.includes('--json'))
      io.out(JSON.stringify({ error: { code, message: redact(message) } }));
  };
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    // Asking for help or for the version ends here as well, with nothing wrong.
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT_CODE.ok;
      tellScript(error.code, error.message);
      return EXIT_CODE.usage;
    }
    const failure = failureOf(error);
    tellScript(failure.code, failure.message);
    io.err(`${pc.red('Failed:')} ${failure.message}`);
    return failure.exitCode;
  }
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const manifest: unknown = JSON.parse(text);
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}
