import type { Command } from 'commander';
import pc from 'picocolors';
import type { ConsoleIo } from '../console-io.js';
import { connect, withDatabaseOptions, type DatabaseOptions } from '../database-options.js';
import { EXIT_CODE, type ExitCode } from '../exit-code.js';
import { secondsOf } from '../seconds.js';

interface MigrateOptions extends DatabaseOptions {
  readonly wait: number;
}

/** `sagaz migrate`: applies missing migrations. */
export function migrateCommand(
  program: Command,
  io: ConsoleIo,
  end: (code: ExitCode) => void,
): void {
  withDatabaseOptions(program.command('migrate'))
    .description('apply the migrations that are missing; safe to run from many processes at once')
    .option('--wait <seconds>', 'how long to wait for locks of others', secondsOf, 60)
    .action(async (options: MigrateOptions) => {
      const { migrator, schema, place, close } = connect(options, io);
      try {
        const applied = await migrator.migrate({ withinMs: options.wait * 1_000 });
        if (options.json === true) {
          io.out(JSON.stringify({ database: place, schema, applied }));
        } else if (applied.length === 0) {
          io.out(`${pc.green('Up to date:')} schema ${schema} of ${place}.`);
        } else {
          for (const name of applied) io.out(`${pc.green('applied')} ${name}`);
          io.out(`Schema ${schema} of ${place} is up to date.`);
        }
        end(EXIT_CODE.ok);
      } finally {
        await close();
      }
    });
}
