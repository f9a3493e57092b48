import { connectPartitions } from '@sagaz/postgres';
import { InvalidArgumentError, type Command } from 'commander';
import pc from 'picocolors';
import type { ConsoleIo } from '../console-io.js';
import { urlOf, variable } from '../database-options.js';
import { EXIT_CODE, type ExitCode } from '../exit-code.js';
import { secondsOf } from '../seconds.js';

interface PartitionOptions {
  readonly url?: string;
  readonly schema?: string;
  readonly json?: true;
  readonly daysAhead: number;
  readonly wait: number;
}

/** `sagaz partition`: partitions the tables that only grow, and makes partitions of coming days. */
export function partitionCommand(
  program: Command,
  io: ConsoleIo,
  end: (code: ExitCode) => void,
): void {
  program
    .command('partition')
    .description(
      'partition the tables of ended sagas and journals by day, while the application works; run again, it makes the partitions of further days',
    )
    .option('--url <url>', 'where the database is; better in SAGAZ_DATABASE_URL')
    .option('--schema <name>', 'schema of the tables (default: sagaz)')
    .option('--days-ahead <days>', 'for how many days there are partitions afterwards', daysOf, 90)
    .option('--wait <seconds>', 'how long to wait for locks of others', secondsOf, 60)
    .option('--json', 'write one line of JSON')
    .action(async (options: PartitionOptions) => {
      const schema = options.schema ?? variable(io, 'SAGAZ_SCHEMA');
      const connected = connectPartitions({
        url: urlOf(options, io),
        ...(schema === undefined ? {} : { schema }),
      });
      try {
        const { daysAhead, wait } = options;
        const done = await connected.convert({ daysAhead, withinMs: wait * 1_000 });
        if (options.json === true) {
          io.out(JSON.stringify({ database: connected.place, schema: connected.schema, ...done }));
        } else {
          for (const table of done.converted) io.out(`${pc.green('partitioned')} ${table}`);
          io.out(
            `${String(done.added.length)} partitions were added to schema ${connected.schema} of ${connected.place}.`,
          );
        }
        end(EXIT_CODE.ok);
      } finally {
        await connected.close();
      }
    });
}

const MOST_DAYS = 3_650;

function daysOf(text: string): number {
  const days = Number(text);
  if (!(Number.isInteger(days) && days >= 8 && days <= MOST_DAYS)) {
    throw new InvalidArgumentError(
      `Give a number of days from 8 to ${String(MOST_DAYS)}; for example 90.`,
    );
  }
  return days;
}
