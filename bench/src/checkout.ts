/** The variable that names the checkout whose libraries a worker runs. */
export const CHECKOUT = 'SAGAZ_BENCH_CHECKOUT';
