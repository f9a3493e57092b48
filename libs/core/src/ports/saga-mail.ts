import type { RunnableSaga } from './saga-store.js';

export interface NewMail {
  readonly sagaId: string;
  /**
   * The definition of the saga, where the writer knows it: engines that do not run it need not read the
   * mail. Default: unknown, and every engine reads it.
   */
  readonly definition?: DefinitionRef;
  readonly kind: string;
  /** Unique per saga as long as the mail is unread: the first mail with a key is kept. */
  readonly dedupeKey: string;
  /** JSON text, as the data of journal entries. */
  readonly data: string;
}

export interface Mail extends Omit<NewMail, 'definition'> {
  readonly id: string;
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
  /** The mark of the look before; null: all unread mail is new. */
  readonly from: MailMark | null;
  /** The most letters that one look reads, at least 1. Default: 500. */
  readonly limit?: number;
  /** No mail is returned after the one that brings its data to this many bytes. Default: no bound. */
  readonly bytes?: number;
  /** The kinds of mail this engine can take into account. Default: all. */
  readonly mailKinds?: readonly string[];
}

/** The mail that a look has found. */
export interface MailFound {
  /** Mail of sagas that the incarnation owns. */
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
