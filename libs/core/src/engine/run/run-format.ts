import {
  FORMAT,
  type FormattedDefinition,
  type Mail,
  type SagaTransition,
} from '../../ports/index.js';
import type { SagaDefinition } from '../../saga/index.js';

/** Which engines can read a saga, as its row says, and as unread mail and the next transition will have it. */
export class RunFormat {
  #format: number;
  /** The format of unread mail that only a newer engine reads; 0: there is none. */
  #newerMail = 0;

  constructor(format: number) {
    this.#format = format;
  }

  /** Whether the saga is given to a newer engine, because of mail that this one cannot read. */
  get handsOver(): boolean {
    return this.#newerMail > 0;
  }

  /** Whether this engine can read the mail; if not, the saga is given to one that can. */
  reads({ format }: Mail): boolean {
    if (format <= FORMAT) return true;
    this.#newerMail = Math.max(this.#newerMail, format);
    return false;
  }

  /** What the saga becomes: engines that cannot read it from then on leave it alone. Null: it stays as it is. */
  becomes({ name, version }: SagaDefinition, next: number): FormattedDefinition | null {
    const format = Math.max(next, this.#newerMail);
    return format <= this.#format ? null : { name, version, format };
  }

  committed({ becomes }: SagaTransition): void {
    this.#format = becomes?.format ?? this.#format;
  }
}
