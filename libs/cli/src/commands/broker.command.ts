import { brokerGrantSql } from '@sagaz/postgres';
import type { Command } from 'commander';
import type { ConsoleIo } from '../console-io.js';
import { variable } from '../database-options.js';
import { EXIT_CODE, type ExitCode } from '../exit-code.js';

interface GrantOptions {
  readonly role: string;
  readonly publish?: readonly string[];
  readonly read?: readonly string[];
  readonly consume?: readonly string[];
  readonly schema?: string;
}

/**
 * `sagaz broker grant`: prints the grants of a role of the Postgres broker that belongs to one service.
 */
export function brokerCommand(
  program: Command,
  io: ConsoleIo,
  end: (code: ExitCode) => void,
): void {
  program
    .command('broker')
    .description('the Postgres broker with a role for each service')
    .command('grant')
    .description('print the grants of a role, as a script for psql')
    .requiredOption('--role <name>', 'the role that the service logs in as')
    .option('--publish <topics...>', 'topics that it may publish to')
    .option('--read <topics...>', 'topics that its groups may read')
    .option('--consume <groups...>', 'consumer groups that it works for')
    .option('--schema <name>', 'schema of the broker (default: sagaz_broker)')
    .action(({ schema = variable(io, 'SAGAZ_SCHEMA'), ...grants }: GrantOptions) => {
      io.out(brokerGrantSql(grants, schema));
      end(EXIT_CODE.ok);
    });
}
