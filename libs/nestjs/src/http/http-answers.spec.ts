import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ANSWERS } from './http-answers.js';

/** The errors whose answer depends on more than their code. */
const BY_CLASS = ['SAGAZ_REFUSAL', 'SAGAZ_SAGA_FAILED'];

/**
 * Codes without an answer of their own: a request that ends with one is answered by 500 and logged. A new
 * error belongs here, or into the answers.
 */
const FAULTS: Readonly<Record<string, readonly string[]>> = {
  'the code or the options of the service are wrong': [
    'SAGAZ_AMBIGUOUS_TRANSACTION',
    'SAGAZ_COMMAND_WITHOUT_BROKER',
    'SAGAZ_FOREIGN_TRANSACTION',
    'SAGAZ_INVALID_CONTRACT',
    'SAGAZ_INVALID_RETRY_POLICY',
    'SAGAZ_NON_RETRYABLE',
    'SAGAZ_NO_DATA_SOURCE',
    'SAGAZ_NO_TRANSACTION',
    'SAGAZ_OUTSIDE_TRANSACTION',
    'SAGAZ_RAW_TRANSACTION_CONTROL',
    'SAGAZ_SAGA_CONNECTION',
    'SAGAZ_SAGA_NOT_COMMITTED',
    'SAGAZ_STATEMENTS_UNDER_WAY',
    'SAGAZ_TRANSACTION_ABORTED',
    'SAGAZ_TRANSACTION_ENDED',
    'SAGAZ_TWO_PHASE_COMMIT',
    'SAGAZ_UNFINISHED_SAVEPOINT',
    'SAGAZ_UNKNOWN_DATA_SOURCE',
    'SAGAZ_UNKNOWN_SAGA',
    'SAGAZ_UNSAVED_ENTITY_MESSAGES',
  ],
  'a person has to look at the data': [
    'SAGAZ_COMMIT_UNKNOWN',
    'SAGAZ_MALFORMED_PAYLOAD',
    'SAGAZ_MISSING_BROKER_GRANT',
    'SAGAZ_STORE_REFUSED',
    'SAGAZ_UNENCODABLE_VALUE',
    'SAGAZ_UNREADABLE_JOURNAL',
  ],
  'the start of the application fails with it': [
    'SAGAZ_DUPLICATE_HANDLER',
    'SAGAZ_DUPLICATE_SAGA',
    'SAGAZ_HANDLER_SETUP',
    'SAGAZ_IDEMPOTENT_SETUP',
    'SAGAZ_INVALID_ENGINE_SETTING',
    'SAGAZ_INVALID_OPTIONS',
    'SAGAZ_INVALID_POOL_SIZE',
    'SAGAZ_INVALID_POSTGRES_OPTION',
    'SAGAZ_INVALID_SAGA_DEFINITION',
    'SAGAZ_INVALID_SCHEMA_NAME',
    'SAGAZ_INVALID_SIGNING_KEY',
    'SAGAZ_MANAGEMENT_TOO_EARLY',
    'SAGAZ_MIGRATION_CHANGED',
    'SAGAZ_MIGRATION_FORBIDDEN',
    'SAGAZ_MIGRATION_MISSING',
    'SAGAZ_MIGRATION_TIMEOUT',
    'SAGAZ_MISSING_PRIVILEGES',
    'SAGAZ_MODULE_SETUP',
    'SAGAZ_NO_DATABASE',
    'SAGAZ_OTHER_MIGRATIONS',
    'SAGAZ_POOL_TOO_SMALL',
    'SAGAZ_PUBLISH_TIMEOUT_TOO_LONG',
    'SAGAZ_SAGA_SCOPE',
    'SAGAZ_SCHEMA_FORBIDDEN',
    'SAGAZ_SCHEMA_OCCUPIED',
    'SAGAZ_SCHEMA_OUTDATED',
    'SAGAZ_SCHEMA_TOO_NEW',
    'SAGAZ_STALE_SNAPSHOT',
    'SAGAZ_START_TIMEOUT',
    'SAGAZ_STORE_ELSEWHERE',
    'SAGAZ_TRANSACTION_HOST',
    'SAGAZ_UNSUITABLE_SERVER',
    'SAGAZ_VERSION_MISMATCH',
  ],
  'only a step, a handler, the relay or the command line ends with it': [
    'SAGAZ_BROKER_ABSENT',
    'SAGAZ_BROKER_CLOSED',
    'SAGAZ_COMMAND_IN_HANDLER',
    'SAGAZ_HANDLER_CRASHED',
    'SAGAZ_HANDLER_NOT_REACHED',
    'SAGAZ_HANDLER_TIMEOUT',
    'SAGAZ_HELD_KEY',
    'SAGAZ_INBOX_BUSY',
    'SAGAZ_INVALID_MESSAGE_ID',
    'SAGAZ_LANDED_ROW_LOST',
    'SAGAZ_LEASE_LOST',
    'SAGAZ_MALFORMED_COMMAND',
    'SAGAZ_MALFORMED_ENVELOPE',
    'SAGAZ_MALFORMED_REPLY',
    'SAGAZ_MISSING_MESSAGE_ID',
    'SAGAZ_NOT_DELIVERED',
    'SAGAZ_NO_CONNECTION',
    'SAGAZ_NO_URL',
    'SAGAZ_PARTITIONS_BUSY',
    'SAGAZ_PARTITIONS_FORBIDDEN',
    'SAGAZ_ROW_LOCKED',
    'SAGAZ_STEP_ABORTED',
    'SAGAZ_STEP_RESULT_MISSING',
    'SAGAZ_SUBSCRIPTION_CLOSED',
    'SAGAZ_TOPIC_AWAY',
    'SAGAZ_TURN_WAIT',
    'SAGAZ_UNANSWERED_COMMAND',
    'SAGAZ_UNEXPECTED_CONTENT_TYPE',
    'SAGAZ_UNKNOWN_COMMAND',
    'SAGAZ_UNKNOWN_STEP',
    'SAGAZ_UNRETURNED_COMMAND',
    'SAGAZ_UNSENDABLE_COMMAND',
    'SAGAZ_UNSENDABLE_REPLY',
    'SAGAZ_UNSTORABLE_RESULT',
    'SAGAZ_UNTRUSTED_MESSAGE',
    'SAGAZ_WRONG_URL',
  ],
};

/** The text of every source file of every package. */
function sources(): readonly string[] {
  const libs = new URL('../../../', import.meta.url);
  return readdirSync(libs).flatMap((name) => {
    const folder = new URL(`${name}/src/`, libs);
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
      .map((file) => readFileSync(new URL(file, folder), 'utf8'));
  });
}

/** Counts classes that are not exported as well. */
const CLASS = /^(?:export )?(?:abstract )?class \w+ extends (?:SagazError|NonRetryableError)\b/gm;
const CODE = /^ {2}(?:override )?readonly code(?:: string)? = '(SAGAZ_\w+)'/gm;

describe('the HTTP answers', () => {
  it('were decided on for every error there is, and for no other', () => {
    const texts = sources();
    const codes = texts.flatMap((text) => [...text.matchAll(CODE)].map(([, code = '']) => code));
    const decided = [...Object.keys(ANSWERS), ...BY_CLASS, ...Object.values(FAULTS).flat()];
    expect(decided.sort()).toEqual([...codes].sort());
    // A class whose code is written in another way would not have been seen.
    expect(texts.flatMap((text) => text.match(CLASS) ?? [])).toHaveLength(codes.length);
  });
});
