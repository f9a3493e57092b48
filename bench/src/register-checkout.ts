// Loaded with `--import` into workers that run the libraries of another checkout.
import { register } from 'node:module';

register('./resolve-in-checkout.js', import.meta.url);
