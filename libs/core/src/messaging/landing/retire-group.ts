import type { Clock, InboxStore, Message, OutboxStore, Transactions } from '../../ports/index.js';
import { failureReply } from '../inbox/index.js';

/** How many messages one transaction makes dead letters of. */
const AT_ONCE = 200;

export interface RetireOptions {
  readonly inbox: Pick<InboxStore, 'retireLanded'>;
  readonly outbox: Pick<OutboxStore, 'append'>;
  readonly transactions: Pick<Transactions, 'run'>;
  /** CloudEvents source of the replies to commands. Default: the group, which is as a rule the service's name. */
  readonly service?: string;
  readonly clock: Clock;
}

/**
 * Makes dead letters of all messages that wait in the landing queue of a group which nobody will serve again,
 * reason `retired`. Commands among them are answered as failed in the same transactions, since their sagas
 * would wait. Returns how many there were; a call that was interrupted goes on when it is made again.
 *
 * @throws GroupInUseError while a process of the group lives, UnknownGroupError
 */
export async function retireGroup(options: RetireOptions, group: string): Promise<number> {
  const { inbox, outbox, transactions, clock, service = group } = options;
  const retirement = { reason: 'retired', error: `The group ${group} was retired by an operator.` };
  for (let retired = 0; ;) {
    const messages = await transactions.run(async (transaction) => {
      const those = await inbox.retireLanded(group, retirement, AT_ONCE, transaction);
      const from = { service, time: clock.date().toISOString() };
      const replies = those.flatMap((message: Message) => {
        const reply = failureReply(message, { reason: retirement.reason }, from);
        return reply === null ? [] : [reply];
      });
      if (replies.length > 0) await outbox.append(replies, transaction);
      return those;
    });
    if (messages.length === 0) return retired;
    retired += messages.length;
  }
}
