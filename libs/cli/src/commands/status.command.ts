import { connectUnserved, type MigrationStatus, type Unserved } from '@sagaz/postgres';
import Table from 'cli-table3';
import type { Command } from 'commander';
import pc from 'picocolors';
import type { ConsoleIo } from '../console-io.js';
import { connect, urlOf, withDatabaseOptions, type DatabaseOptions } from '../database-options.js';
import { EXIT_CODE, type ExitCode } from '../exit-code.js';
import { unservedLines } from '../unserved-text.js';

/**
 * `sagaz status`: prints applied and missing migrations, and unserved queues and sagas. Changes
 * nothing.
 */
export function statusCommand(
  program: Command,
  io: ConsoleIo,
  end: (code: ExitCode) => void,
): void {
  withDatabaseOptions(program.command('status'))
    .description(
      `show which migrations are applied, and what waits and has no living process; exit code ${String(EXIT_CODE.outdated)} when the schema is not what this version needs`,
    )
    .action(async (options: DatabaseOptions) => {
      const { migrator, schema, place, close } = connect(options, io);
      try {
        const status = await migrator.status();
        const upToDate =
          status.pending.length + status.unknown.length + status.changed.length === 0;
        // The look needs an up-to-date schema, since its statements could fail on another one.
        const unserved = upToDate ? await look(options, schema, io) : null;
        if (options.json === true) {
          io.out(JSON.stringify({ database: place, upToDate, ...status, unserved }));
        } else {
          io.out(statusText(status, schema, place, migrateCommandFor(options)));
          for (const line of unserved === null ? [] : unservedLines(unserved)) {
            io.out(pc.yellow(line));
          }
        }
        end(upToDate ? EXIT_CODE.ok : EXIT_CODE.outdated);
      } finally {
        await close();
      }
    });
}

async function look(options: DatabaseOptions, schema: string, io: ConsoleIo): Promise<Unserved> {
  const set = options.broker === true ? 'broker' : 'store';
  const connected = connectUnserved({ url: urlOf(options, io), set, schema });
  try {
    return await connected.look();
  } finally {
    await connected.close();
  }
}

/** The command that brings these tables up to date. */
function migrateCommandFor({ broker, schema }: DatabaseOptions): string {
  const flags = [
    ...(broker === true ? ['--broker'] : []),
    ...(schema === undefined ? [] : [`--schema ${schema}`]),
  ];
  return ['npx sagaz migrate', ...flags].join(' ');
}

function statusText(
  status: MigrationStatus,
  schema: string,
  place: string,
  migrate: string,
): string {
  const table = new Table({
    head: ['migration', 'state', 'applied at'],
    style: { head: [], border: [] },
  });
  for (const { name, appliedAt } of status.applied) {
    const state = status.changed.includes(name)
      ? pc.red('edited since')
      : status.unknown.includes(name)
        ? pc.yellow('of a later version')
        : pc.green('applied');
    table.push([name, state, appliedAt.toISOString()]);
  }
  for (const name of status.pending) {
    const state = status.skipped.includes(name)
      ? pc.red('missing, though later ones are applied')
      : pc.yellow('missing');
    table.push([name, state, '']);
  }
  return `Schema ${schema} of ${place}\n${table.toString()}\n${verdict(status, migrate)}`;
}

function verdict({ changed, skipped, unknown, pending }: MigrationStatus, migrate: string): string {
  if (changed.length > 0) {
    return pc.red(
      'Applied migrations differ from those of this version. Use the version the schema was made with.',
    );
  }
  if (skipped.length > 0) {
    return pc.red(
      `${skipped.join(', ')} ${skipped.length === 1 ? 'is' : 'are'} missing although a later migration was applied. Put the record back where its tables are there; else restore the schema.`,
    );
  }
  if (unknown.length > 0) {
    return pc.yellow(
      'A later version has migrated this schema. This version runs on it, but cannot migrate it.',
    );
  }
  if (pending.length > 0) return pc.yellow(`Run \`${migrate}\`.`);
  return pc.green('Up to date.');
}
