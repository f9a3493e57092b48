/**
 * Buckets for single statements and attempts, in seconds: from a commit on a local disk to a step that
 * waits for another company.
 */
export const SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

/** Buckets for whole sagas, in seconds: from two commits to a week, for sagas that wait for people. */
export const SAGA_SECONDS = [
  0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800, 3_600, 14_400, 86_400, 604_800,
];
