import { BrokerHealthRecord, type Broker, type BrokerHealth } from '@sagaz/core';
import { RecentAnswer, type RecentAnswerOptions } from './recent-answer.js';

/** Asks a broker for its health; one that does not answer in time is down since the first such question. */
export class BrokerState {
  readonly #answer: RecentAnswer<BrokerHealth>;
  readonly #answers: BrokerHealthRecord;

  constructor(broker: Broker, options: Omit<RecentAnswerOptions, 'keeps'>) {
    this.#answer = new RecentAnswer(() => broker.health(), {
      ...options,
      // That it is back is told at once.
      keeps: ({ state }) => state === 'up',
    });
    this.#answers = new BrokerHealthRecord(options.clock);
  }

  /** Never rejects, and takes no longer than the options say. */
  async now(): Promise<BrokerHealth> {
    const answer = await this.#answer.now();
    if (answer.kind === 'none') return this.#answers.down(answer.error);
    this.#answers.up();
    return answer.value;
  }
}
