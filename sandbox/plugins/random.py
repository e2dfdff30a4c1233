"""Stand-in for the Pulumi plugin `random`: passwords."""

import secrets
import string

import bcrypt

from sandbox.plugins.bridge import Plugin, Resource, Schema, State, serve, words

ALPHABETS = {
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "numeric": string.digits,
    "special": "!@#$%&*()-_=+[]{}<>:?",
}


class RandomPassword(Resource):
    """A password made once; it changes only together with its inputs."""

    schema = Schema(
        required=words("length"),
        replacing=words("length keepers", ALPHABETS),
        defaults=dict.fromkeys(ALPHABETS, True),
        outputs=words("result bcryptHash"),
        secrets=words("result bcryptHash"),
        autonamed=False,
    )

    def create(self, inputs: State) -> tuple[str, State]:
        letters = "".join(alphabet for kind, alphabet in ALPHABETS.items() if inputs[kind])
        if not letters or inputs["length"] < 1:
            raise ValueError(f"expected some kind of character and a length of at least 1, found {inputs}")
        password = "".join(secrets.choice(letters) for _ in range(inputs["length"]))
        hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(10)).decode()
        return "none", {**inputs, "result": password, "bcryptHash": hashed}


if __name__ == "__main__":
    password = {"random:index/randomPassword:RandomPassword": RandomPassword()}
    serve("pulumi-random", Plugin(password, config=words(""), connect=lambda _: None))
