#!/usr/bin/env node
// A file of its own, not dist/main.js: npm links the command at install time, before anything is built.
import '../dist/main.js';
