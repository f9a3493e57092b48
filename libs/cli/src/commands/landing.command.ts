import { connectLandings, type ConnectedLandings } from '@sagaz/postgres';
import { Option, type Command } from 'commander';
import pc from 'picocolors';
import type { ConsoleIo } from '../console-io.js';
import { urlOf, variable } from '../database-options.js';
import { EXIT_CODE, type ExitCode } from '../exit-code.js';

interface LandingOptions {
  readonly url?: string;
  readonly schema?: string;
  readonly json?: true;
}

/** `sagaz landing`: lists the landing queues of consumer groups, renames a group and retires one. */
export function landingCommand(
  program: Command,
  io: ConsoleIo,
  end: (code: ExitCode) => void,
): void {
  const landing = program
    .command('landing')
    .description('landing queues: what consumer groups of a store handle later');
  withStoreOptions(landing.command('list'))
    .description(
      'list what waits in the landing queue of each group, and which group has no process',
    )
    .action((options: LandingOptions) =>
      on(options, io, async (connected) => {
        const groups = await connected.list();
        if (options.json === true) {
          io.out(JSON.stringify({ database: connected.place, schema: connected.schema, groups }));
        } else if (groups.every(({ waiting }) => waiting === 0)) {
          io.out(pc.green('Nothing waits in a landing queue.'));
        } else {
          for (const { group, waiting, oldestMs, served } of groups) {
            const line = `group ${group}: ${String(waiting)} message(s) wait, the oldest for ${seconds(oldestMs)} s`;
            io.out(served ? line : pc.yellow(`${line}; none of its processes lives`));
          }
        }
        end(EXIT_CODE.ok);
      }),
    );
  withStoreOptions(landing.command('rename <group> <to>'))
    .description('give a group another name, with its inbox, landing queue and dead letters')
    .action((group: string, to: string, options: LandingOptions) =>
      on(options, io, async (connected) => {
        const messages = await connected.rename(group, to);
        if (options.json === true) {
          io.out(JSON.stringify({ database: connected.place, renamed: group, to, messages }));
        } else {
          io.out(
            `Renamed the group ${group} to ${to}, with ${String(messages)} message(s) that its inbox knows.`,
          );
        }
        end(EXIT_CODE.ok);
      }),
    );
  withStoreOptions(landing.command('retire <group>'))
    .description('make dead letters of all that waits in the landing queue of a group')
    .action((group: string, options: LandingOptions) =>
      on(options, io, async (connected) => {
        const messages = await connected.retire(group);
        if (options.json === true) {
          io.out(JSON.stringify({ database: connected.place, retired: group, messages }));
        } else {
          io.out(
            `${String(messages)} message(s) of the group ${group} are dead letters now, reason retired.`,
          );
        }
        end(EXIT_CODE.ok);
      }),
    );
}

function withStoreOptions(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'where the store is; better in SAGAZ_DATABASE_URL'))
    .option('--schema <name>', 'schema of the store (default: sagaz)')
    .option('--json', 'write one line of JSON');
}

async function on(
  options: LandingOptions,
  io: ConsoleIo,
  act: (landings: ConnectedLandings) => Promise<void>,
): Promise<void> {
  const schema = options.schema ?? variable(io, 'SAGAZ_SCHEMA');
  const landings = connectLandings({
    url: urlOf(options, io),
    ...(schema === undefined ? {} : { schema }),
  });
  try {
    await act(landings);
  } finally {
    await landings.close();
  }
}

function seconds(ms: number): string {
  return String(Math.round(ms / 1_000));
}
