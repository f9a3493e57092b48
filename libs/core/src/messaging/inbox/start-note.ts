import { errorText } from '../../errors/index.js';
import type { InboxKey, InboxStore, Logger } from '../../ports/index.js';

/**
 * The note in the store that the attempt of a suspect has begun. It stays if the process dies, and then
 * tells the next process that this message may have been the cause.
 */
export class StartNote {
  readonly #inbox: InboxStore;
  readonly #logger: Logger;
  readonly #key: InboxKey;
  #alone: boolean;
  #state: 'not begun' | 'begun' | 'taken back' | 'ended' = 'not begun';

  constructor(
    { inbox, logger }: { readonly inbox: InboxStore; readonly logger: Logger },
    key: InboxKey,
    alone: boolean,
  ) {
    this.#inbox = inbox;
    this.#logger = logger;
    this.#key = key;
    this.#alone = alone;
  }

  /**
   * Whether the handler was called and its end was noted. The process has survived the message then, and
   * no earlier death is held against it.
   */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  async begin(): Promise<void> {
    await this.#inbox.noteStart(this.#key, this.#alone);
    this.#state = 'begun';
  }

  /** The attempt goes on beside others, so a death from now on may have another cause. Never throws. */
  goesOnBeside(): void {
    if (!this.#alone) return;
    this.#alone = false;
    if (this.#state !== 'begun') return;
    this.#inbox.noteCompany(this.#key).catch((error: unknown) => {
      this.#logger.warn(
        'A message that is handled alone has taken too long, and it could not be noted that others run beside it now; a crash would count against it.',
        { messageId: this.#key.id, error: errorText(error) },
      );
    });
  }

  /**
   * The subscription gave the message back because it closes, so the end of the process says nothing
   * about the message: only this start is taken back, and earlier deaths stay. Never throws.
   */
  giveBack(): void {
    this.#takeBack().catch((error: unknown) => {
      this.#logger.warn('A message was given back, which could not be noted.', {
        messageId: this.#key.id,
        error: errorText(error),
      });
    });
  }

  /**
   * The attempt ended and is not counted. If its handler was not called, a database was away for
   * instance, nothing is known about the message, and earlier deaths stay.
   */
  async endUncounted(handlerCalled: boolean): Promise<void> {
    if (!handlerCalled) return this.#takeBack();
    if (this.#state !== 'begun') return;
    await this.#inbox.noteEnd(this.#key, 'uncounted');
    this.#state = 'ended';
  }

  /** The attempt was counted as failed, which the caller has noted. */
  endCounted(): void {
    this.#state = 'ended';
  }

  async #takeBack(): Promise<void> {
    if (this.#state !== 'begun') return;
    this.#state = 'taken back';
    await this.#inbox.takeBackStart(this.#key, this.#alone);
  }
}
