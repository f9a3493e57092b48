import { SagazError } from '@sagaz/core';
import pg from 'pg';
import { schemaName, sqlState } from '../connection/index.js';
import { grantStatement } from '../privileges/index.js';
import { SERVICE_PRIVILEGES } from './needed-privileges.js';

/** The grants of a restricted role in the broker's database. */
export interface BrokerGrants {
  /** The role that the service logs in as; it must exist. */
  readonly role: string;
  /**
   * Topics that it may publish to: those of its commands and events, and those of replies to services
   * that send it commands.
   */
  readonly publish?: readonly string[];
  /** Topics that its groups may read. */
  readonly read?: readonly string[];
  /** Consumer groups that it works for. */
  readonly consume?: readonly string[];
}

/** The broker's database refused a statement for which the role has no grant. */
export class MissingBrokerGrantError extends SagazError {
  readonly code = 'SAGAZ_MISSING_BROKER_GRANT';

  constructor(
    readonly role: string,
    readonly kind: 'publish' | 'read' | 'consume',
    /** The name of the topic or group. */
    readonly missing: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(
      `The role '${role}' of the broker's database has no grant to ${DEEDS[kind]} '${missing}'.`,
      `If it should: sagaz broker grant --role ${role} --${kind} ${missing}`,
      options,
    );
  }
}

const DEEDS = {
  publish: 'publish to the topic',
  read: 'read the topic',
  consume: 'consume as the group',
} as const;

/** Reads the missing grant from an error of the database; null: it is another error. */
export function missingGrant(error: unknown): MissingBrokerGrantError | null {
  if (sqlState(error) !== '42501' || !(error instanceof Error) || !('detail' in error)) return null;
  const told = /^\{"role" : "(.*)", "kind" : "(publish|read|consume)", "name" : "(.*)"\}$/s.exec(
    String(error.detail),
  );
  const [, role, kind, name] = told ?? [];
  if (role === undefined || name === undefined) return null;
  if (kind !== 'publish' && kind !== 'read' && kind !== 'consume') return null;
  return new MissingBrokerGrantError(role, kind, name, { cause: error });
}

/**
 * Makes the statements that grant these rights to a role. The owner of the broker's tables has to run
 * them. They only add: the role keeps its other grants.
 *
 * @throws InvalidSchemaNameError
 */
export function brokerGrantSql(grants: BrokerGrants, schema = 'sagaz_broker'): string {
  const name = schemaName(schema);
  const role = pg.escapeIdentifier(grants.role);
  const rows = (['publish', 'read', 'consume'] as const).flatMap((kind) =>
    (grants[kind] ?? []).map(
      (granted) =>
        `(${[grants.role, kind, granted].map((text) => pg.escapeLiteral(text)).join(', ')})`,
    ),
  );
  return [
    'BEGIN;',
    ...SERVICE_PRIVILEGES.map((needed) => grantStatement(needed, name, role)),
    ...(rows.length === 0
      ? []
      : [
          `INSERT INTO ${name.quoted}.broker_grant (role_name, kind, name) VALUES`,
          `  ${rows.join(',\n  ')}`,
          'ON CONFLICT DO NOTHING;',
        ]),
    'COMMIT;',
  ].join('\n');
}
