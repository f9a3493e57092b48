import { setTimeout as sleep } from 'node:timers/promises';
import { SagaRefusal, type Message } from '@sagaz/core';
import { keyOf, type Call, type TrialWorld } from '@sagaz/core/testing';
import { tellParent } from '../processes/index.js';
import type { AppTransaction } from '../app-transactions.js';
import type { Question, TrialReport } from './protocol.js';

interface Waiting {
  resolve(value: number): void;
  reject(error: unknown): void;
}

/** The world of a trial as an engine process sees it: what stands outside of it is with the parent. */
export class FarWorld {
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;

  /** For the sagas of the trial with this seed. */
  ofTrial(names: readonly string[]): TrialWorld {
    return {
      outside: {
        apply: (key) => this.#done({ what: 'apply', key }),
        undo: (key) => this.#done({ what: 'undo', key }),
      },
      random: Math.random,
      write: async (key, manager) => {
        const { query } = manager as AppTransaction;
        await query('INSERT INTO app.written VALUES ($1)', [key]);
      },
      sleep: (ms) => sleep(ms),
      die: () => {
        process.kill(process.pid, 'SIGKILL');
        return new Promise(() => undefined);
      },
      called: (saga: number, { role, context }: Call, step: string) =>
        this.#ask({
          what: 'called',
          saga: names[saga] ?? '',
          task: `${role} ${step}`,
          key: context.idempotencyKey,
          due: keyOf(context.sagaId, role, step),
        }),
    };
  }

  /** Resolves once the world outside has the messages. */
  publish(messages: readonly Message[]): Promise<void> {
    return this.#done({ what: 'publish', messages });
  }

  answered(number: number, value: number, refusal: string | null): void {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (refusal === null) waiting?.resolve(value);
    else waiting?.reject(new SagaRefusal(refusal));
  }

  async #done(question: Question): Promise<void> {
    await this.#ask(question);
  }

  /** Ends with the answer, or with this process: its parent does not outlive it. */
  #ask(question: Question): Promise<number> {
    this.#asked += 1;
    const number = this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      const report: TrialReport = { kind: 'question', number, question };
      tellParent(report);
    });
  }
}
