import {
  InvalidArgumentError,
  retireGroup,
  systemClock,
  type LandingBacklog,
  type WakeUps,
} from '@sagaz/core';
import { NoDatabaseError, PgTransactions, SagazPool, schemaName } from './connection/index.js';
import { PgInboxStore } from './inbox/index.js';
import { defaultSchema } from './migrations/index.js';
import { PgOutboxStore } from './outbox/index.js';

/** The database and schema of a store. */
export interface ConnectLandingsOptions {
  /** `postgres://user:password@host:5432/database` */
  readonly url: string;
  /** `sagaz` unless given. */
  readonly schema?: string;
}

/** The operations of a tool on the landing queues of consumer groups in a store. */
export interface ConnectedLandings {
  /** What waits in the landing queue of each group, and which of them no living process works on. */
  list(): Promise<readonly (LandingBacklog & { readonly served: boolean })[]>;
  /**
   * Gives a group another name: what its inbox remembers, and its landing queue with its dead letters, in one
   * transaction. Stop all processes of the group first, and start them under the new name afterwards. Resolves
   * to the number of messages that the inbox knew.
   *
   * @throws GroupInUseError while a process of either group lives, UnknownGroupError, GroupExistsError where the
   * new one has handled or landed messages, InvalidArgumentError
   */
  rename(group: string, to: string): Promise<number>;
  /**
   * Makes dead letters of all messages that wait in the landing queue of a group which nobody will serve again,
   * and answers the commands among them as failed. Resolves to their number.
   *
   * @throws GroupInUseError while a process of the group lives, UnknownGroupError
   */
  retire(group: string): Promise<number>;
  readonly schema: string;
  /** Host, port and database; never user or password. */
  readonly place: string;
  /** Closes the connections. */
  close(): Promise<void>;
}

const GROUP = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const silent = { debug() {}, info() {}, warn() {}, error() {} };
/** A tool has nobody to wake: the processes of a group find what an operator changed by themselves. */
const nobody: WakeUps = {
  hint: () => undefined,
  on: () => () => undefined,
  listening: false,
};

/**
 * Opens the landing queues of a store for a tool.
 *
 * @throws NoDatabaseError when the url is empty or invalid, InvalidSchemaNameError
 */
export function connectLandings(options: ConnectLandingsOptions): ConnectedLandings {
  if (options.url === '') throw new NoDatabaseError('The url of the database is empty.');
  const schema = schemaName(options.schema ?? defaultSchema('store'));
  const pool = new SagazPool({
    source: { kind: 'url', url: options.url },
    applicationName: 'sagaz landing',
    connectTimeoutMs: 10_000,
    // To rename a group, all rows of its inbox are written.
    statementTimeoutMs: 1_800_000,
    max: 2,
    logger: silent,
  });
  const transactions = new PgTransactions(`postgres ${pool.place} ${schema.text}`, pool);
  const parts = { pool, transactions, schema, wakeUps: nobody };
  const inbox = new PgInboxStore(parts);
  const outbox = new PgOutboxStore(parts);
  return {
    list: async () => {
      const unserved = new Set((await inbox.unservedLandings()).map(({ group }) => group));
      const all = await inbox.landingBacklog();
      return all.map((one) => ({ ...one, served: !unserved.has(one.group) }));
    },
    rename: async (group, to) => {
      if (!GROUP.test(to)) {
        const remedy = "Use letters, digits, '.', '-' and '_', at most 100.";
        throw new InvalidArgumentError('rename', 'to', to, remedy);
      }
      return inbox.renameGroup(group, to);
    },
    retire: (group) => retireGroup({ inbox, outbox, transactions, clock: systemClock }, group),
    schema: schema.text,
    place: pool.place,
    close: () => pool.end(),
  };
}
