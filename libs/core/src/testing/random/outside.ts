import { replyMail } from '../../engine/index.js';
import { SagaRefusal } from '../../errors/index.js';
import { newId } from '../../ids.js';
import { HEADERS, type OutboxMessage } from '../../ports/index.js';
import type { EngineBench } from '../engine-bench.js';

/**
 * The world outside: a party that is idempotent by key and refuses a key after its undo, called by
 * local steps and, through messages that may be lost, late or doubled, by command steps.
 */
export class Outside {
  /** Keys whose effect stands. */
  readonly applied = new Set<string>();
  readonly undone = new Set<string>();
  readonly #refused = new Set<string>();
  readonly #bench: EngineBench;
  readonly #random: () => number;
  #answered = 0;

  constructor(bench: EngineBench, random: () => number) {
    this.#bench = bench;
    this.#random = random;
  }

  apply(key: string): void {
    if (this.undone.has(key)) throw new SagaRefusal('undone');
    this.applied.add(key);
  }

  undo(key: string): void {
    this.undone.add(key);
    this.applied.delete(key);
  }

  /** Carries out what was sent since the last time, sooner or later, once or twice. */
  answer(): void {
    const { sent, clock } = this.#bench;
    for (; this.#answered < sent.length; this.#answered += 1) {
      const message = sent[this.#answered];
      if (message === undefined) continue;
      const delay = Math.floor(this.#random() * 4_000);
      clock.after(delay, () => this.#handle(message));
      if (this.#random() < 0.2) clock.after(delay + 1_000, () => this.#handle(message));
    }
  }

  #handle(message: OutboxMessage): void {
    const key = message.headers[HEADERS.idempotencyKey] ?? '';
    const draw = this.#random();
    if (message.headers[HEADERS.role] === 'compensation') {
      if (draw < 0.1) return;
      this.undo(key);
      this.#reply(message, 'ok', null);
      return;
    }
    const expiresAt = Date.parse(message.headers[HEADERS.expiresAt] ?? '');
    if (draw < 0.1 || expiresAt <= this.#bench.clock.date().getTime()) return;
    // A participant keeps its "no" with the key, as it keeps every reply.
    if (draw < 0.2 || this.#refused.has(key)) {
      if (this.applied.has(key)) return;
      this.#refused.add(key);
      this.#reply(message, 'refused', { reason: 'no' });
      return;
    }
    const fails = draw < 0.3;
    if ((!fails || this.#random() < 0.5) && !this.undone.has(key)) this.applied.add(key);
    if (fails) this.#reply(message, 'failed', { reason: 'exhausted' });
    else if (this.applied.has(key)) this.#reply(message, 'ok', message.headers[HEADERS.step]);
  }

  #reply(to: OutboxMessage, status: string, body: unknown): void {
    const mail = replyMail({
      ...to,
      id: newId(),
      payload: new TextEncoder().encode(JSON.stringify(body)),
      headers: {
        ...to.headers,
        [HEADERS.replyStatus]: status,
        [HEADERS.repliesTo]: to.headers[HEADERS.role] ?? '',
        [HEADERS.causationId]: to.id,
      },
    });
    const { sagas, wakeUps } = this.#bench;
    void sagas.putMail([mail]).then(() => wakeUps.hint('saga'));
  }
}
