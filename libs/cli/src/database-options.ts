import { connectMigrator, type ConnectedMigrator } from '@sagaz/postgres';
import { Option, type Command } from 'commander';
import type { ConsoleIo } from './console-io.js';
import { NoUrlError, WrongUrlError } from './cli.errors.js';

/** The options that every command on a database has. */
export interface DatabaseOptions {
  readonly url?: string;
  readonly schema?: string;
  readonly broker?: true;
  readonly json?: true;
}

export function withDatabaseOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--url <url>',
        'where the database is; better in SAGAZ_DATABASE_URL, because others on this machine can read command lines',
      ),
    )
    .option('--schema <name>', 'schema of the tables (default: sagaz, with --broker sagaz_broker)')
    .option('--broker', 'act on the tables of the Postgres broker instead of those of the store')
    .option('--json', 'write one line of JSON');
}

/**
 * The value of a variable of the environment. An empty one is how a shell or a manifest leaves it out, in the
 * application as well.
 */
export function variable(
  io: Pick<ConsoleIo, 'env'>,
  name: 'SAGAZ_DATABASE_URL' | 'SAGAZ_SCHEMA',
): string | undefined {
  const text = io.env[name]?.trim();
  return text === '' ? undefined : text;
}

/**
 * Reads the url of the database from the options or the environment. Throws `NoUrlError`,
 * `WrongUrlError`.
 */
export function urlOf(options: Pick<DatabaseOptions, 'url'>, io: ConsoleIo): string {
  const url = options.url ?? variable(io, 'SAGAZ_DATABASE_URL');
  if (url === undefined || url === '') throw new NoUrlError();
  if (!/^postgres(ql)?:\/\//i.test(url)) throw new WrongUrlError();
  return url;
}

/**
 * Connects to the database that the options or the environment name. Throws `NoUrlError`,
 * `WrongUrlError`.
 */
export function connect(options: DatabaseOptions, io: ConsoleIo): ConnectedMigrator {
  const url = urlOf(options, io);
  const schema = options.schema ?? variable(io, 'SAGAZ_SCHEMA');
  return connectMigrator({
    url,
    set: options.broker === true ? 'broker' : 'store',
    ...(schema === undefined ? {} : { schema }),
  });
}
