"""A contract for import-linter that it does not bring: what a room may import, and nothing else."""

import sys
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

STANDARD_LIBRARY = "the standard library"


class AllowedContract(Contract):
    """Modules of a room import modules of the room, the standard library, and the packages that are listed."""

    type_name = "allowed"

    room: Any = fields.StringField()  # a field in the class is its value in an instance
    allowed_packages: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Every import that is not allowed is a fault."""
        del verbose
        room = str(self.room)
        allowed = {*self.allowed_packages, *sys.stdlib_module_names}
        faults = [
            f"{module} -> {imported}"
            for module in sorted({room, *graph.find_descendants(room)})
            for imported in sorted(graph.find_modules_directly_imported_by(module))
            if not f"{imported}.".startswith(f"{room}.") and imported.partition(".")[0] not in allowed
        ]
        return ContractCheck(kept=not faults, metadata={"faults": faults})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Tell each of them."""
        output.print_error(
            f"{self.room} may import {STANDARD_LIBRARY} and {', '.join(map(str, self.allowed_packages))}."
        )
        for fault in check.metadata["faults"]:
            output.print_error(f"- {fault}")
