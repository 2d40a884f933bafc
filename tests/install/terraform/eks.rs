//! The way to EKS as docs/install.md tells it, in front of MiniStack: what is written there applied as it is, and the role
//! that comes of it associated.

use serde_json::Value;

use super::cli::{Account, REGION, Terraform};
use crate::manual::{Shell, block, filled, filled_for};

#[test]
fn tables_role_and_builds_of_the_manual_are_made_and_the_role_is_associated() {
    let Some(terraform) = Terraform::new("terraform-eks") else {
        return;
    };
    let account = Account::start(&terraform.scratch);
    let surroundings: Value =
        serde_json::from_str(&account.script("surroundings.py", &[])).expect("it prints JSON");
    let mut shell = Shell::new(
        &terraform.scratch,
        terraform.scratch.file(""),
        &account.endpoint,
        REGION,
    );
    let path = std::env::var("PATH").expect("there is a PATH");
    for (name, value) in terraform.environment(&account.endpoint) {
        if value != path {
            shell.set(&name, &value);
        }
    }

    // Terraform's zip, which no test downloads.
    terraform
        .scratch
        .write("terraform_1.11.4_linux_amd64.zip", "not really");
    shell.run("aws s3 mb s3://tools");
    let said = shell.run(&filled(block("sha256sum terraform"), &[("YOUR-TOOLS", "tools")]));
    let digest = said
        .lines()
        .last()
        .and_then(|line| line.split(' ').next())
        .expect("a digest");
    let mut surroundings = surroundings;
    surroundings["terraform"]["sha256"] = digest.into();

    let main = filled_for(
        block("provider \"aws\""),
        &surroundings,
        &[("cluster/CLUSTER", "cluster/tools")],
    );
    terraform.scratch.write("main.tf", &main);
    // At an address without a domain, buckets are part of the path.
    let path_style = "provider \"aws\" {\n  s3_use_path_style = true\n}\n";
    terraform.scratch.write("override.tf", path_style);
    shell.set("TF_CLI_ARGS_apply", "-auto-approve -no-color -parallelism=30");
    shell.run("terraform init\nterraform validate\nterraform apply");

    let cluster = "aws eks create-cluster --name tools --role-arn arn:aws:iam::000000000000:role/eks \
                   --resources-vpc-config subnetIds=subnet-00000001";
    shell.run(cluster);
    shell.run(&filled(
        block("create-pod-identity-association"),
        &[("--cluster-name CLUSTER", "--cluster-name tools")],
    ));
    let listed = shell.run(
        "aws eks list-pod-identity-associations --cluster-name tools --query 'associations[].associationId'",
    );
    assert!(listed.contains("\"a-"), "{listed}");
    let role = shell.run("terraform output -raw daemon_role");
    let trusted = shell.run(&format!(
        "aws iam get-role --role-name {} --query Role.AssumeRolePolicyDocument",
        role.rsplit('/').next().expect("a name")
    ));
    for needed in ["pods.eks.amazonaws.com", "cluster/tools", "\"lamplighter\""] {
        assert!(trusted.contains(needed), "{needed} is not in {trusted}");
    }
}
