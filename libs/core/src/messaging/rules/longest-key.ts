/** The most bytes of tenant, topic and key together that an index of a store or broker takes. */
export const LONGEST_KEY = 2_000;
