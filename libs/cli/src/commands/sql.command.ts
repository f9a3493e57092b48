import type { Command } from 'commander';
import type { ConsoleIo } from '../console-io.js';
import { connect, withDatabaseOptions, type DatabaseOptions } from '../database-options.js';
import { EXIT_CODE, type ExitCode } from '../exit-code.js';

/** `sagaz sql`: prints the SQL that `migrate` would run, for people who apply schemas by hand. */
export function sqlCommand(program: Command, io: ConsoleIo, end: (code: ExitCode) => void): void {
  withDatabaseOptions(program.command('sql'))
    .description('print what migrate would run on this database, as a script for psql')
    .action(async (options: DatabaseOptions) => {
      const { migrator, schema, place, close } = connect(options, io);
      try {
        const { pending } = await migrator.status();
        const sql = await migrator.sql();
        io.out(
          options.json === true
            ? JSON.stringify({ database: place, schema, pending, sql })
            : sql.trimEnd(),
        );
        end(EXIT_CODE.ok);
      } finally {
        await close();
      }
    });
}
