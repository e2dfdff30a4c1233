// JSON Web Tokens, signed here: good ones, an expired one, one with another's signature.
import crypto from 'k6/crypto';
import encoding from 'k6/encoding';

const part = (value) => encoding.b64encode(JSON.stringify(value), 'rawurl');

export function token(secret, validSeconds = 3600) {
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: 'HS256', typ: 'JWT', kid: __ENV.JWT_KEY })}.${part({ iss: __ENV.JWT_KEY, iat: now, exp: now + validSeconds })}`;
  return `${text}.${crypto.hmac('sha256', secret, text, 'base64rawurl')}`;
}

export const good = () => token(__ENV.JWT_SECRET);
export const refused = () => ({
  expired: token(__ENV.JWT_SECRET, -10),
  forged: token('somebody-elses-secret-of-thirty-two-bytes'),
  none: '',
});
