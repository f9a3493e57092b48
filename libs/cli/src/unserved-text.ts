import type { Unserved } from '@sagaz/postgres';

/** One line for each unserved queue and saga definition, with the remedy. */
export function unservedLines({ queues, sagas }: Unserved): readonly string[] {
  return [
    ...queues.map(({ kind, name, oldestMs, waiting = 0 }) => {
      const since = seconds(oldestMs);
      switch (kind) {
        case 'outbox':
          return `outbox: messages have waited for up to ${since}, and no relay lives. Start a process with the role relay on this database.`;
        case 'group':
          return `group ${name}: messages have waited for up to ${since}, and none of its processes lives. Start one, or run \`npx sagaz groups remove ${name}\` if it will not be served again.`;
        case 'topic':
          return `topic ${name}: messages have waited for up to ${since}, and no group has ever joined it. Start the service that handles them, or stop publishing them.`;
        case 'landing':
          return `landing queue of group ${name}: ${String(waiting)} message(s) have waited for up to ${since}, and none of its processes lives. Start one, or run \`npx sagaz landing rename ${name} <new name>\` if the group has another name now, or \`npx sagaz landing retire ${name}\` if it will not be served again.`;
      }
    }),
    ...sagas.map(
      ({ name, version, count, more, oldestMs }) =>
        `saga ${name}, version ${String(version)}: ${more ? 'at least ' : ''}${String(count)} due for up to ${seconds(oldestMs)}, and no living engine runs that version. Deploy it beside the newer one until they have ended.`,
    ),
  ];
}

function seconds(ms: number): string {
  return `${String(Math.round(ms / 1_000))} s`;
}
