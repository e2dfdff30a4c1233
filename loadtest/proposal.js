// scripts/testing/load-test-rag.js
import http from 'k6/http';
import { check, sleep } from 'k6';

export const options = {
  stages: [
    { duration: '1m', target: 10 },  // Ramp-up
    { duration: '3m', target: 50 },  // Peak load
    { duration: '1m', target: 0 },   // Ramp-down
  ],
  thresholds: {
    http_req_duration: ['p(95)<500'],  // 95% < 500ms
    http_req_failed: ['rate<0.1'],     // < 10% failures
  },
};

export default function () {
  const url = 'http://localhost:8000/api/v1/rag/search';
  const params = {
    headers: {
      'Authorization': `Bearer ${__ENV.JWT_TOKEN}`,
      'Content-Type': 'application/json',
    },
  };
  
  const payload = JSON.stringify({
    query: 'How does circuit breaker work?',
    max_results: 5,
  });
  
  const res = http.post(url, payload, params);
  
  check(res, {
    'status is 200': (r) => r.status === 200,
    'response time < 500ms': (r) => r.timings.duration < 500,
  });
  
  sleep(1);
}
