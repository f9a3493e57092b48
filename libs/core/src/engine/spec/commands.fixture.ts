import { newId } from '../../ids.js';
import { command, defineCommand } from '../../messaging/index.js';
import { HEADERS, type NewMail, type OutboxMessage } from '../../ports/index.js';
import type { EngineBench, ProgramOptions } from '../../testing/index.js';
import { replyMail } from '../index.js';

const Reserve = defineCommand<{ sku: string }, { place: string }>()('inventory.reserve');
const Release = defineCommand<{ sku: string }>()('inventory.release');

/** One step that is another service's. */
export const order = {
  output: 'reserve',
  steps: {
    reserve: {
      run: () => command(Reserve, { sku: 'x' }),
      undo: () => command(Release, { sku: 'x' }),
      replyTimeoutMs: 60_000,
    },
  },
} satisfies ProgramOptions;

/** The reply that the participant would send. */
export async function replyTo(
  bench: EngineBench,
  to: OutboxMessage | undefined,
  status: 'ok' | 'refused' | 'failed',
  body: unknown,
  says: { readonly answers?: string | null; readonly source?: string } = {},
): Promise<NewMail> {
  return rawReplyTo(bench, to, status, body === undefined ? '' : JSON.stringify(body), says);
}

/** The same, of a participant that writes its JSON in its own way. */
export async function rawReplyTo(
  bench: EngineBench,
  to: OutboxMessage | undefined,
  status: 'ok' | 'refused' | 'failed',
  text: string,
  says: { readonly answers?: string | null; readonly source?: string } = {},
): Promise<NewMail> {
  if (to === undefined) throw new Error('There is no command to reply to.');
  const mail = replyMail({
    id: newId(),
    tenant: to.tenant,
    topic: to.headers[HEADERS.replyTo] ?? '',
    key: to.headers[HEADERS.sagaId] ?? '',
    type: 'sagaz.reply',
    source: says.source ?? 'inventory',
    time: to.time,
    contentType: 'application/json',
    payload: new TextEncoder().encode(text),
    headers: {
      [HEADERS.sagaId]: to.headers[HEADERS.sagaId] ?? '',
      [HEADERS.idempotencyKey]: to.headers[HEADERS.idempotencyKey] ?? '',
      [HEADERS.replyStatus]: status,
      [HEADERS.repliesTo]: to.headers[HEADERS.role] ?? '',
      ...(says.answers === null ? {} : { [HEADERS.causationId]: says.answers ?? to.id }),
    },
  });
  await bench.sagas.putMail([mail]);
  bench.wakeUps.hint('saga');
  return mail;
}
