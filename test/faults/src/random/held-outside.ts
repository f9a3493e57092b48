import { SagaRefusal, type NewMail } from '@sagaz/core';
import { Outside } from '@sagaz/core/testing';
import type { Question } from './protocol.js';

/** The world outside of all engine processes of a round, which continues to exist when they die. */
export class HeldOutside {
  readonly outside: Outside;
  /** Keys that were not those due, by the saga's name. */
  readonly wrongKeys = new Map<string, string[]>();
  readonly #calls = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(random: () => number, reply: (mail: NewMail) => void) {
    this.outside = new Outside({
      random,
      reply,
      now: () => new Date(),
      after: (ms, work) => {
        const timer = setTimeout(() => {
          this.#timers.delete(timer);
          work();
        }, ms);
        this.#timers.add(timer);
      },
    });
  }

  /** Answers a process; the name of a refusal where it is one. */
  answer(question: Question): { readonly value: number; readonly refusal: string | null } {
    try {
      return { value: this.#answer(question), refusal: null };
    } catch (error) {
      if (error instanceof SagaRefusal) return { value: 0, refusal: error.reason };
      throw error;
    }
  }

  close(): void {
    this.#timers.forEach((timer) => clearTimeout(timer));
  }

  #answer(question: Question): number {
    switch (question.what) {
      case 'called': {
        const { saga, task, key, due } = question;
        if (key !== due) this.wrongKeys.set(saga, [...(this.wrongKeys.get(saga) ?? []), key]);
        const before = this.#calls.get(`${saga} ${task}`) ?? 0;
        this.#calls.set(`${saga} ${task}`, before + 1);
        return before;
      }
      case 'apply':
        this.outside.apply(question.key);
        return 0;
      case 'undo':
        this.outside.undo(question.key);
        return 0;
      case 'publish':
        for (const message of question.messages) this.outside.hear(message);
        return 0;
    }
  }
}
