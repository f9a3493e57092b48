import { replyMail } from '../../engine/index.js';
import { SagaRefusal } from '../../errors/index.js';
import { newId } from '../../ids.js';
import { HEADERS, type Message, type NewMail } from '../../ports/index.js';

/** The surroundings of the outside world: virtual time beside a memory store, or real processes. */
export interface OutsideParts {
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly now: () => Date;
  /** Calls `work` after so many milliseconds. */
  readonly after: (ms: number, work: () => void) => void;
  /** Brings a reply to the saga's mailbox. */
  readonly reply: (mail: NewMail) => void;
}

/**
 * The world outside: a system that is idempotent by key and refuses a key after its undo. Local steps
 * call it, and command steps reach it through messages that may be lost, late or doubled.
 */
export class Outside {
  /** Keys whose effect was not undone. */
  readonly applied = new Set<string>();
  readonly undone = new Set<string>();
  readonly #refused = new Set<string>();
  readonly #parts: OutsideParts;

  constructor(parts: OutsideParts) {
    this.#parts = parts;
  }

  apply(key: string): void {
    if (this.undone.has(key)) throw new SagaRefusal('undone');
    this.applied.add(key);
  }

  undo(key: string): void {
    this.undone.add(key);
    this.applied.delete(key);
  }

  /** Carries out a command that was sent: after some time, once or twice. */
  hear(message: Message): void {
    const { random, after } = this.#parts;
    const delay = Math.floor(random() * 4_000);
    after(delay, () => this.#handle(message));
    if (random() < 0.2) after(delay + 1_000, () => this.#handle(message));
  }

  #handle(message: Message): void {
    const key = message.headers[HEADERS.idempotencyKey] ?? '';
    const draw = this.#parts.random();
    if (message.headers[HEADERS.role] === 'compensation') {
      if (draw < 0.1) return;
      this.undo(key);
      this.#reply(message, 'ok', null);
      return;
    }
    const expiresAt = Date.parse(message.headers[HEADERS.expiresAt] ?? '');
    if (draw < 0.1 || expiresAt <= this.#parts.now().getTime()) return;
    // A participant keeps its refusal with the key, as it keeps every reply.
    if (draw < 0.2 || this.#refused.has(key)) {
      if (this.applied.has(key)) return;
      this.#refused.add(key);
      this.#reply(message, 'refused', { reason: 'no' });
      return;
    }
    const fails = draw < 0.3;
    if ((!fails || this.#parts.random() < 0.5) && !this.undone.has(key)) this.applied.add(key);
    if (fails) this.#reply(message, 'failed', { reason: 'exhausted' });
    else if (this.applied.has(key)) this.#reply(message, 'ok', message.headers[HEADERS.step]);
  }

  #reply(to: Message, status: string, body: unknown): void {
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
    this.#parts.reply(mail);
  }
}
