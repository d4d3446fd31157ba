// Where the platform is, and the world outside it: nodes that make invoices and pay ours.

import { execFile } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { promisify } from 'node:util';

// Node 18 keeps what the SDK draws its ids from in a module.
globalThis.crypto ??= webcrypto;

const run = promisify(execFile);

const given = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; cargo test -p tests --test clients sets it`);
  return value;
};

export const url = given('MERCHANT_URL');
export const key = given('MERCHANT_KEY');
export const organization_id = given('MERCHANT_ORGANIZATION');
export const environment_id = given('MERCHANT_ENVIRONMENT');
export const wallet_id = given('MERCHANT_WALLET');
export const line_id = given('MERCHANT_LINE');

const sim = async (...args) => {
  const { stdout } = await run(given('SWITCHYARD'), ['--json', 'sim', ...args]);
  return JSON.parse(stdout.trim().split('\n').at(-1));
};

/** An invoice of somebody outside; without an amount the payer names it. */
export const invoice = async (amount_msat, description = '') => {
  const amount = amount_msat ? ['--amount-msat', String(amount_msat)] : [];
  const made = await sim('invoice', 'alice', '--description', description, ...amount);
  return made.invoice;
};

/** Somebody outside pays; resolves when the money has gone. */
export const pay = (payment_request, amount_msat) => {
  const amount = amount_msat ? ['--amount-msat', String(amount_msat)] : [];
  return sim('pay', 'bob', ...amount, payment_request);
};
