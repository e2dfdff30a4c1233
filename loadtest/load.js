// The load test. Everything it needs comes through the environment; the promises too, as JSON, so that it judges by
// the same numbers as all other proofs.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { good, refused } from './tokens.js';
import { profiles } from './profiles.js';

const profile = __ENV.PROFILE || 'slo';
const promised = JSON.parse(__ENV.PROMISES).load;
const gateway = `${__ENV.GATEWAY_URL}/api/v1/rag`;
// Calls of services of your own, which take the place of the reference service's searches and questions.
const probes = JSON.parse(__ENV.PROBES || '[]');
const points = `${__ENV.QDRANT_URL}/collections/${__ENV.COLLECTION}/points?wait=true`;
const limit = Number(__ENV.LIMIT_PER_MINUTE);
const dimensions = Number(__ENV.DIMENSIONS);
const verbs = ['open', 'parse', 'sort', 'copy', 'delete', 'print', 'join'];
const things = ['file', 'date', 'list', 'string', 'folder', 'number', 'table'];

export const options = {
  scenarios: profiles[profile],
  thresholds: thresholds(),
  summaryTrendStats: ['min', 'avg', 'med', 'p(90)', 'p(95)', 'p(99)', 'max', 'count'],
  noConnectionReuse: false,
};

// Refusals are answered fast, and would make a percentile of everything look well: each kind is judged by itself.
function thresholds() {
  if (profile === 'ratelimit') return { checks: ['rate==1'] };
  const ratio = profile === 'seed' ? promised.failed_ratio : promised.slo_failed_ratio;
  const found = { checks: ['rate==1'] };
  for (const kind of probes.length ? ['search', 'write'] : ['search', 'ask', 'write']) {
    found[`http_req_duration{name:${kind}}`] = [`p(95)<${promised.p95_ms}`];
    found[`http_req_failed{name:${kind}}`] = [`rate<=${ratio}`];
  }
  if (profile !== 'seed') found.dropped_iterations = [`count<=${promised.dropped_iterations}`];
  return found;
}

export function setup() {
  return { good: good(), refused: refused() };
}

// One machine stands for many clients: each call is another's, out of the range kept for benchmarks (RFC 2544). The
// stack that is loaded trusts this machine to say so; no other stack does.
function headers(bearer, address) {
  const client = address || `198.18.${exec.scenario.iterationInTest % 100}.${(exec.vu.idInTest % 250) + 1}`;
  const found = { 'Content-Type': 'application/json', 'X-Forwarded-For': client };
  if (bearer) found.Authorization = `Bearer ${bearer}`;
  return found;
}

const any = (list) => list[Math.floor(Math.random() * list.length)];
const words = () => `how do I ${any(verbs)} a ${any(things)}?`;
const post = (path, body, bearer, name, extra = {}) =>
  http.post(`${gateway}${path}`, JSON.stringify(body), { headers: headers(bearer, extra.address), tags: { name }, ...extra });

function probe(data) {
  const one = any(probes);
  const answer = http.request(one.method, `${__ENV.GATEWAY_URL}${one.path}`, one.body && JSON.stringify(one.body), {
    headers: headers(data.good), tags: { name: 'search' }, responseCallback: http.expectedStatuses(one.status),
  });
  check(answer, { 'answers of own services are good': (found) => found.status === one.status && (found.body || '').includes(one.contains) });
  return answer;
}

export function search(data) {
  if (probes.length) return probe(data);
  return post('/search', { query: words(), limit: 5 }, data.good, 'search');
}

export function ask(data) {
  if (probes.length) return probe(data);
  return post('/query', { question: words() }, data.good, 'ask');
}

// There is no way to write through the gateway: writers hold Qdrant's key and go through the balancer.
export function write() {
  const component = 1 / Math.sqrt(dimensions);
  const batch = Array.from({ length: 4 }, (_, n) => ({
    id: Date.now() * 1000 + (exec.vu.idInTest % 250) * 4 + n,
    vector: Array.from({ length: dimensions }, () => (Math.random() < 0.5 ? component : -component)),
  }));
  return http.put(points, JSON.stringify({ points: batch }), {
    headers: { 'Content-Type': 'application/json', 'api-key': __ENV.QDRANT_API_KEY }, tags: { name: 'write' },
  });
}

// Seven searches, one question, two writes out of ten, and a second to think.
export function user(data) {
  const what = Math.random();
  if (what < 0.7) search(data);
  else if (what < 0.8) ask(data);
  else write();
  sleep(1);
}

export function refusals(data) {
  for (const [kind, bearer] of Object.entries(data.refused)) {
    const answer = post('/search', { query: 'x', limit: 1 }, bearer, 'refused', {
      responseCallback: http.expectedStatuses(401),
    });
    check(answer, { [`a token that is ${kind} is refused`]: (found) => found.status === 401 });
  }
}

// Calls of one address one after another, so that none overtakes the count; a minute that ends meanwhile begins anew.
export function rateLimit(data) {
  let answers = oneMinute(data);
  if (new Set(answers.map((answer) => Math.floor(answer.at / 60000))).size > 1) answers = oneMinute(data);
  const over = answers[answers.length - 1];
  check(answers, {
    'as many calls of one address as are allowed pass': (all) => all.slice(0, limit).every((answer) => answer.status === 200),
    'the one after them is 429': () => over.status === 429,
    'and says in how many seconds to come again': () => Number(over.headers['Retry-After']) > 0,
  });
  const other = post('/search', { query: 'x', limit: 1 }, data.good, 'search', { address: '198.19.0.2' });
  check(other, { 'another address is not limited by it': (answer) => answer.status === 200 });
}

function oneMinute(data) {
  sleep(60 - (Date.now() / 1000) % 60 + 0.2);
  const address = '198.19.0.1';
  return Array.from({ length: limit + 1 }, () => {
    const answer = post('/search', { query: 'x', limit: 1 }, data.good, 'limited', {
      address, responseCallback: http.expectedStatuses(200, 429),
    });
    return { status: answer.status, headers: answer.headers, at: Date.now() };
  });
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data) };
}
