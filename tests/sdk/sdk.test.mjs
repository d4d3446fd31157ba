// The published SDK, unmodified and with its own polling, against the running platform. What it sends and
// reads is its own business: nothing here speaks HTTP.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import {
  environment_id, invoice, key, line_id, organization_id, pay, url, wallet_id,
} from './outside.mjs';
import { VoltageApiError, VoltageClient } from 'voltage-api-sdk';

const client = new VoltageClient({ apiKey: key, baseUrl: `${url}/v1` });
const place = { organization_id, environment_id };

const newWallet = (more) => ({
  id: randomUUID(), environment_id, line_of_credit_id: line_id, name: `till ${randomUUID()}`,
  network: 'mutinynet', limit: 1_000_000, metadata: null, ...more,
});

const receive = (more) => client.createPaymentRequest({
  ...place, payment: { wallet_id, currency: 'btc', payment_kind: 'bolt11', ...more },
});

const send = (data, more) => client.sendPayment({
  ...place, payment: { wallet_id, currency: 'btc', type: 'bolt11', data, ...more },
});

const read = (payment_id) => client.getPayment({ ...place, payment_id });

const ledger = (filters) => client.getWalletLedger({ organization_id, wallet_id, ...filters });

const spendable = async () => {
  const wallet = await client.getWallet({ organization_id, wallet_id });
  return wallet.balances[0].available.amount;
};

/** Reads until the payment has ended, or as often as the SDK itself would. */
const ended = async (payment_id) => {
  for (let looks = 0; looks < 300; looks += 1) {
    const payment = await read(payment_id);
    if (['completed', 'failed', 'expired'].includes(payment.status)) return payment;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  throw new Error(`payment ${payment_id} does not end`);
};

test('a wallet is made, listed, read and deleted', async () => {
  const wallet = newWallet({ metadata: { shop: 'north' } });
  await client.createWallet({ organization_id, wallet });
  const ids = async () => (await client.getWallets({ organization_id })).map((it) => it.id);
  assert.ok((await ids()).includes(wallet.id));
  const made = await client.getWallet({ organization_id, wallet_id: wallet.id });
  for (const field of ['id', 'environment_id', 'line_of_credit_id', 'name', 'network', 'limit']) {
    assert.equal(made[field], wallet[field], field);
  }
  assert.deepEqual(made.metadata, wallet.metadata);
  assert.equal(made.active, true);
  assert.ok(Array.isArray(made.balances) && Array.isArray(made.holds));

  await client.createWallet({ organization_id, wallet });
  const other = { ...wallet, limit: 5 };
  await assert.rejects(client.createWallet({ organization_id, wallet: other }), (error) => {
    assert.ok(error instanceof VoltageApiError);
    assert.deepEqual([error.status, error.code], [409, 'HTTP_ERROR']);
    assert.equal(error.details.error.type, 'wallet_exists');
    return true;
  });

  await client.deleteWallet({ organization_id, wallet_id: wallet.id });
  assert.ok(!(await ids()).includes(wallet.id));
  const gone = await client.getWallet({ organization_id, wallet_id: wallet.id });
  assert.equal(gone.active, false);
});

test('a fixed request is paid from outside', async () => {
  const before = await spendable();
  const asked = await receive({ amount_msats: 150_000, description: 'a book' });
  assert.deepEqual([asked.direction, asked.status], ['receive', 'receiving']);
  assert.equal(asked.data.amount_msats, 150_000);
  assert.match(asked.data.payment_request, /^lntbs/);
  await pay(asked.data.payment_request);
  const paid = await ended(asked.id);
  assert.deepEqual([paid.status, paid.type, paid.error], ['completed', 'bolt11', null]);
  assert.equal(await spendable(), before + 150_000);
});

test('a request for any amount is paid with what the payer names', async () => {
  const asked = await receive({ amount_msats: null });
  assert.deepEqual([asked.status, asked.data.amount_msats], ['receiving', 0]);
  const before = await spendable();
  await pay(asked.data.payment_request, 77_000);
  assert.equal((await ended(asked.id)).status, 'completed');
  assert.equal(await spendable(), before + 77_000);
});

test('a send ends completed, and costs what it says', async () => {
  const before = await spendable();
  const request = { payment_request: await invoice(2_000_000), max_fee_msats: 20_000 };
  const sent = await send(request);
  assert.deepEqual([sent.direction, sent.status, sent.error], ['send', 'completed', null]);
  assert.equal(sent.data.payment_request, request.payment_request);
  assert.deepEqual([sent.data.amount_msats, sent.data.max_fee_msats], [2_000_000, 20_000]);
  assert.ok(sent.data.fee_msats <= 20_000);
  assert.equal(await spendable(), before - 2_000_000 - sent.data.fee_msats);
  assert.deepEqual(await read(sent.id), sent);
});

test('a send of an amount of our own, with no fee cap named', async () => {
  const payment_request = await invoice(null);
  const sent = await send({ payment_request, amount_msats: 500_000, max_fee_msats: null });
  assert.deepEqual([sent.status, sent.data.amount_msats], ['completed', 500_000]);
});

test('a send that takes its time is polled until it has ended', async () => {
  const payment_request = await invoice(3_000, 'sim:slow:2500');
  const began = Date.now();
  const sent = await send({ payment_request });
  assert.equal(sent.status, 'completed');
  assert.ok(Date.now() - began >= 2_500);
});

test('a send that is repeated with its id is one payment', async () => {
  const id = randomUUID();
  const data = { payment_request: await invoice(4_000) };
  const first = await send(data, { id });
  assert.deepEqual(await send(data, { id }), first);
  const { items } = await ledger({ payment_id: id });
  assert.deepEqual(items.map((it) => it.type).sort(), ['captured', 'held']);
  const other = { payment_request: await invoice(4_000) };
  await assert.rejects(send(other, { id }), (error) => {
    assert.deepEqual([error.status, error.details.error.type], [409, 'payment_exists']);
    return true;
  });
});

test('a send that fails says why', async () => {
  const [id, before] = [randomUUID(), await spendable()];
  const payment_request = await invoice(before);
  const told = await send({ payment_request }, { id }).catch((error) => error);
  const failed = await read(id);
  assert.equal(told.message, `Send payment failed: ${failed.error.detail}`);
  assert.deepEqual([failed.status, failed.error.code], ['failed', 'insufficient_funds']);
  assert.equal(await spendable(), before);

  const unroutable = await invoice(1_000, 'sim:no_route');
  await assert.rejects(send({ payment_request: unroutable }), /^Error: Send payment failed: .+/);
  assert.equal(await spendable(), before);
});

test('payments are listed, filtered, sorted and paged', async () => {
  const paid = await send({ payment_request: await invoice(6_000) });
  const asked = await receive({ amount_msats: 9_000 });
  const list = (filters) => client.getPayments({ ...place, ...filters });
  const all = await list({});
  assert.deepEqual([all.offset, all.limit], [0, 100]);
  assert.equal(all.total, all.items.length);
  assert.deepEqual(all.items.slice(0, 2).map((it) => it.id), [asked.id, paid.id]);

  const open = await list({ statuses: ['receiving', 'generating'], direction: 'receive' });
  assert.ok(open.items.every((it) => it.status === 'receiving' && it.direction === 'receive'));
  assert.ok(open.items.some((it) => it.id === asked.id));
  const sends = await list({ direction: 'send', kind: 'bolt11', statuses: ['completed'], wallet_id });
  assert.ok(sends.items.some((it) => it.id === paid.id));
  assert.ok(sends.items.every((it) => it.direction === 'send' && it.status === 'completed'));
  assert.ok(sends.total < all.total);

  const page = await list({ sort_key: 'created_at', sort_order: 'ASC', offset: 1, limit: 2 });
  const oldest = all.items.map((it) => it.id).reverse().slice(1, 3);
  assert.deepEqual([page.items.map((it) => it.id), page.total], [oldest, all.total]);
  const day = 86_400_000;
  const later = new Date(Date.now() + day).toISOString();
  assert.equal((await list({ start_date: later })).total, 0);
  assert.equal((await list({ end_date: later })).total, all.total);
  assert.equal((await list({ wallet_id: randomUUID() })).total, 0);
});

test('history and ledger tell of a payment from its hold to its end', async () => {
  const sent = await send({ payment_request: await invoice(8_000) });
  const { events } = await client.getPaymentHistory({ ...place, payment_id: sent.id });
  assert.equal(events.at(-1).event_type, 'send_succeeded');
  const positions = events.map((it) => it.position);
  assert.deepEqual(positions, [...positions].sort((a, b) => a - b));
  assert.ok(events.every((it) => it.error === null && !Number.isNaN(Date.parse(it.time))));

  const { items, total } = await ledger({ payment_id: sent.id, sort_order: 'ASC' });
  assert.deepEqual([items.map((it) => it.type), total], [['held', 'captured'], 2]);
  assert.equal(items[1].amount_msats, 8_000 + sent.data.fee_msats);
  assert.ok(items.every((it) => it.payment_id === sent.id && it.currency === 'btc'));
  assert.equal(items[0].hold_id, items[1].hold_id);
  const last = await ledger({ limit: 1, sort_key: 'effective_time', sort_order: 'DESC' });
  assert.equal(last.items.length, 1);
  assert.ok(last.total > 2);
});

test('lines of credit are listed and read', async () => {
  const lines = await client.getLinesOfCredit({ organization_id });
  const listed = lines.find((line) => line.id === line_id);
  const line = await client.getLineOfCredit({ organization_id, line_id });
  assert.deepEqual(line, listed);
  assert.deepEqual([line.organization_id, line.environment_id], [organization_id, environment_id]);
  assert.deepEqual([line.network, line.currency, line.disabled_at], ['mutinynet', 'btc', null]);
  assert.ok(line.limit >= line.allocated_limit && line.allocated_limit > 0);
});

test('a bearer token is as good as the header, and a wrong key is none', async () => {
  const bearer = new VoltageClient({ bearerToken: key, baseUrl: `${url}/v1` });
  assert.ok((await bearer.getWallets({ organization_id })).length > 0);
  const stranger = new VoltageClient({ apiKey: 'switchyard_wrong', baseUrl: `${url}/v1` });
  const asStranger = stranger.getWallets({ organization_id });
  await assert.rejects(asStranger, { name: 'VoltageApiError', status: 401 });
  const nobodys = client.getWallet({ organization_id, wallet_id: randomUUID() });
  await assert.rejects(nobodys, (error) => {
    assert.deepEqual([error.status, error.details.error.type], [404, 'wallet_not_found']);
    return true;
  });
});
