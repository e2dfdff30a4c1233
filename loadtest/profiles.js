// How much is asked, by whom, for how long. FACTOR shortens a profile, to try it; the report then says so.
const factor = Number(__ENV.FACTOR || '1');
const seconds = (count) => `${Math.max(1, Math.round(count * factor))}s`;

const open = (exec, rate, duration, clients) => ({
  executor: 'constant-arrival-rate', exec, rate, timeUnit: '1s', duration, preAllocatedVUs: clients, maxVUs: clients,
});
const refusals = (duration) => ({
  executor: 'constant-arrival-rate', exec: 'refusals', rate: 1, timeUnit: '2s', duration, preAllocatedVUs: 2, maxVUs: 4,
});

export const profiles = {
  // The proposal's: fifty users who wait for each answer, and think for a second.
  seed: {
    users: {
      executor: 'ramping-vus', exec: 'user', startVUs: 0, gracefulRampDown: '10s',
      stages: [
        { duration: seconds(60), target: 10 },
        { duration: seconds(180), target: 50 },
        { duration: seconds(60), target: 0 },
      ],
    },
    refusals: refusals(seconds(300)),
  },
  // The honest one: calls come at their rate, whether or not the ones before were answered.
  slo: {
    searches: open('search', 25, seconds(120), 50),
    questions: open('ask', 2, seconds(120), 10),
    writes: open('write', 4, seconds(120), 10),
    refusals: refusals(seconds(120)),
  },
  ratelimit: {
    one: { executor: 'per-vu-iterations', exec: 'rateLimit', vus: 1, iterations: 1, maxDuration: '4m' },
  },
  soak: {
    searches: open('search', 10, seconds(1800), 30),
    questions: open('ask', 1, seconds(1800), 10),
    writes: open('write', 2, seconds(1800), 10),
    refusals: refusals(seconds(1800)),
  },
};
