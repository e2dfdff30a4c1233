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
    """A password made once; it changes only together with what it was made from."""

    schema = Schema(
        required=words("length"),
        replacing=words(
            "length keepers lower upper numeric special minLower minUpper minNumeric minSpecial overrideSpecial"
        ),
        defaults=dict.fromkeys(ALPHABETS, True),
        outputs=words("result bcryptHash"),
        secrets=words("result bcryptHash"),
        autonamed=False,
    )

    def create(self, inputs: State) -> tuple[str, State]:
        password = password_for(inputs)
        hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(10)).decode()
        return "none", {**inputs, "result": password, "bcryptHash": hashed}


def password_for(inputs: State) -> str:
    """A password of that length, with at least so many characters of each kind as asked for."""
    kinds = {kind: letters for kind, letters in ALPHABETS.items() if inputs[kind]}
    if "special" in kinds:
        kinds["special"] = inputs.get("overrideSpecial") or kinds["special"]
    counts = {kind: inputs.get(f"min{kind.title()}", 0) for kind in kinds}
    needed = [secrets.choice(kinds[kind]) for kind, count in counts.items() for _ in range(count)]
    missing = inputs["length"] - len(needed)
    if not kinds or missing < 0 or inputs["length"] < 1:
        raise ValueError(f"expected some kind of character and a length of at least {len(needed) or 1}, found {inputs}")
    chosen = needed + [secrets.choice("".join(kinds.values())) for _ in range(missing)]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


if __name__ == "__main__":
    password = {"random:index/randomPassword:RandomPassword": RandomPassword()}
    serve("pulumi-random", Plugin(password, config=words(""), connect=lambda _: None))
