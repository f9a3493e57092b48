import { connectGroups, type ConnectedGroups } from '@sagaz/postgres';
import { Option, type Command } from 'commander';
import pc from 'picocolors';
import type { ConsoleIo } from '../console-io.js';
import { urlOf, variable } from '../database-options.js';
import { EXIT_CODE, type ExitCode } from '../exit-code.js';

interface GroupsOptions {
  readonly url?: string;
  readonly schema?: string;
  readonly json?: true;
}

/** `sagaz groups`: lists consumer groups that no process serves, and removes one. */
export function groupsCommand(
  program: Command,
  io: ConsoleIo,
  end: (code: ExitCode) => void,
): void {
  const groups = program
    .command('groups')
    .description('consumer groups of the Postgres broker that no process serves');
  withBrokerOptions(groups.command('unserved'))
    .description('list groups without a process and topics without a group in which messages wait')
    .action((options: GroupsOptions) =>
      on(options, io, async (connected) => {
        const queues = await connected.unserved();
        if (options.json === true) {
          io.out(JSON.stringify({ database: connected.place, schema: connected.schema, queues }));
        } else if (queues.length === 0) {
          io.out(pc.green('Every group with waiting messages is served.'));
        } else {
          for (const { kind, name, oldestMs } of queues) {
            io.out(`${kind} ${name}: the oldest message has waited for ${seconds(oldestMs)} s`);
          }
        }
        end(EXIT_CODE.ok);
      }),
    );
  withBrokerOptions(groups.command('remove <group>'))
    .description('remove a group that will not be served again, and the messages that wait for it')
    .action((group: string, options: GroupsOptions) =>
      on(options, io, async (connected) => {
        const messages = await connected.remove(group);
        if (options.json === true) {
          io.out(JSON.stringify({ database: connected.place, removed: group, messages }));
        } else {
          io.out(
            `Removed the group ${group} and ${String(messages)} message(s) that waited for it.`,
          );
        }
        end(EXIT_CODE.ok);
      }),
    );
}

function withBrokerOptions(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'where the broker is; better in SAGAZ_DATABASE_URL'))
    .option('--schema <name>', 'schema of the broker (default: sagaz_broker)')
    .option('--json', 'write one line of JSON');
}

async function on(
  options: GroupsOptions,
  io: ConsoleIo,
  act: (groups: ConnectedGroups) => Promise<void>,
): Promise<void> {
  const schema = options.schema ?? variable(io, 'SAGAZ_SCHEMA');
  const groups = connectGroups({
    url: urlOf(options, io),
    ...(schema === undefined ? {} : { schema }),
  });
  try {
    await act(groups);
  } finally {
    await groups.close();
  }
}

function seconds(ms: number): string {
  return String(Math.round(ms / 1_000));
}
