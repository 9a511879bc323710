"""What a classic BPF program answers to a system call: an interpreter of the instructions that the seal uses."""

import struct

LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, ERROR, KILL = 0x7FFF0000, 0x00050000, 0x80000000


def answer(program, audit: int, number: int, *arguments: int) -> int:
    """The program's return value for a call, as the kernel's ``struct seccomp_data`` would show it."""
    words = list(arguments) + [0] * (6 - len(arguments))
    data = struct.pack("<iIQ6Q", number if number < 1 << 31 else number - (1 << 32), audit, 0, *words)
    at = accumulator = steps = 0
    while True:
        code, when_true, when_false, operand = program[at]
        at += 1
        steps += 1
        assert steps < 4096
        if code == LOAD:
            assert operand % 4 == 0 <= operand <= len(data) - 4
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif code == JUMP_EQUAL:
            at += when_true if accumulator == operand else when_false
        elif code == JUMP_GREATER_EQUAL:
            at += when_true if accumulator >= operand else when_false
        elif code == AND:
            accumulator &= operand
        elif code == RETURN:
            return operand
        else:
            raise AssertionError(f"no instruction {code:#x}")
