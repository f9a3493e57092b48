import type { RunnableSaga } from './saga-store.js';

export interface NewMail {
  readonly sagaId: string;
  /**
   * The definition of the saga, where the writer knows it: engines that do not run it need not read the
   * mail. Default: unknown, and every engine reads it.
   */
  readonly definition?: DefinitionRef;
  /**
   * The lowest format of the engines that can take it into account. Default: 1. An engine of a lower one
   * that owns the saga gives it back, with the mail unread.
   */
  readonly format?: number;
  readonly kind: string;
  /** Unique per saga as long as the mail is unread: the first mail with a key is kept. */
  readonly dedupeKey: string;
  /** JSON text, as the data of journal entries. */
  readonly data: string;
}

export interface Mail extends Omit<NewMail, 'definition' | 'format'> {
  readonly id: string;
  readonly format: number;
}

/** A definition of sagas. */
export interface DefinitionRef {
  readonly name: string;
  readonly version: number;
}

/** Where a look for mail goes on: a text that only the store reads. */
export type MailMark = string;

/** A look for mail that has not been looked at. */
export interface MailLook {
  readonly incarnation: string;
  /** The definitions this engine can run: mail of other sagas is left to other engines. */
  readonly definitions: readonly RunnableSaga[];
  /** The highest format that it can read: mail of a higher one wakes no saga. */
  readonly format: number;
  /** The mark of the look before; null: all unread mail is new. */
  readonly from: MailMark | null;
  /** The most letters that one look reads, at least 1. Default: 500. */
  readonly limit?: number;
  /** No mail is returned after the one that brings its data to this many bytes. Default: no bound. */
  readonly bytes?: number;
}

/** The mail that a look has found. */
export interface MailFound {
  /** Mail of sagas that the incarnation owns, also mail that it cannot read. */
  readonly mail: readonly Mail[];
  /**
   * Sagas without an owner that can go on because of their mail, for the next claim. Among them
   * are those that have ended and whose mail is of the kind `late`.
   */
  readonly wakes: readonly string[];
  /** Where the next look goes on. */
  readonly mark: MailMark;
  /** Whether the look reached a bound, so that there may be more new mail. */
  readonly more: boolean;
}

/** What a look at a page of mail for mail that nobody will read has done. */
export interface DroppedMail {
  /** How many letters were deleted. */
  readonly dropped: number;
  /** Whether there is mail behind the page; otherwise the next call begins again. */
  readonly more: boolean;
}
